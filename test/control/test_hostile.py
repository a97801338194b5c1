"""Whatever a chunk or a twist holds: refused, or followed inside the box and within the limits."""

import re
import warnings
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.command import (
    CHUNK_DTYPE,
    COMMAND_DTYPE,
    STATE_DTYPE,
    Command,
    ServoState,
    chunk_from_record,
    chunk_to_record,
)
from carp_ros.errors import ChunkError, MessageError, TwistError
from carp_ros.types import Chunk, Twist

from .test_servo import (
    HOME_POSE,
    LIMITS,
    PERIOD_NS,
    START_NS,
    assert_within_limits,
    make_servo,
    run,
)

EXTREMES = [0.0, -0.0, 5e-324, -2e-308, 1e-160, 9.99, -9.99, 1e9, 1e154, -1e200, 1.7e308]
EXTREMES += [np.inf, -np.inf, np.nan]
positions = st.tuples(*[st.sampled_from(EXTREMES) | st.floats(-10.0, 10.0)] * 3)
near = st.tuples(*[st.floats(-0.04, 0.04)] * 3)
turns = st.sampled_from(
    [(0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 5e-324), (0.0, 0.0, -1.0, -0.0)]
)
gaps_ns = st.sampled_from([1, 2, 1000, 10**6, 10**8, 10**9, 50 * 10**9]) | st.integers(1, 3 * 10**8)
closures = st.sampled_from([0.0, 1.0, 5e-324, 0.5]) | st.floats(0.0, 1.0)


@st.composite
def hostile_chunks(draw):
    """A chunk that is due now, whose past, whose turns and whose times are anything."""
    past = draw(st.lists(st.tuples(gaps_ns, positions | near, turns, closures), max_size=4))
    coming = draw(
        st.lists(st.tuples(gaps_ns, near | positions, turns, closures), min_size=1, max_size=4)
    )
    now_ns = START_NS
    times = [now_ns - draw(st.sampled_from([0, 1, 10**6, 2 * 10**8]))]
    for gap, *_ in reversed(past):
        times.insert(0, times[0] - gap)
    for gap, *_ in coming[1:]:
        times.append(times[-1] + gap)
    steps = [*past, *coming]
    return {
        "stamp_ns": draw(st.sampled_from([now_ns - 10**8, now_ns])),
        "times_ns": np.array([max(-(2**63), min(t, 2**63 - 1)) for t in times], np.int64),
        "positions": np.array(
            [
                HOME_POSE.position + p if np.abs(p).max() <= 0.04 else np.array(p)
                for p in (np.array(step[1]) for step in steps)
            ]
        ),
        "quaternions": np.array(
            [HOME_POSE.quaternion if i % 2 else s[2] for i, s in enumerate(steps)]
        ),
        "gripper": np.array([step[3] for step in steps]),
    }


def follow(servo, given_chunk, now_ns):
    """Send a chunk the way it goes: through shared memory into the servo."""
    with suppress(ChunkError):
        chunk = chunk_from_record(chunk_to_record(Chunk(**given_chunk)))
        servo.follow_chunk(chunk, now_ns)


@settings(max_examples=150)
@given(st.lists(hostile_chunks(), min_size=1, max_size=3))
def test_no_chunk_ends_in_numbers_that_are_none_or_beyond_a_limit(given_chunks):
    servo = make_servo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an overflow is a warning of NumPy's
        inputs = [
            (START_NS + i * 5 * PERIOD_NS, lambda now, c=c: follow(servo, c, now))
            for i, c in enumerate(given_chunks)
        ]
        done = run(servo, 0.3, inputs=inputs)

    for numbers in (done.joints, done.positions, done.quaternions):
        assert np.isfinite(numbers).all()
    assert (done.positions >= np.array(LIMITS.workspace_min_m) - 1e-3).all()
    assert (done.positions <= np.array(LIMITS.workspace_max_m) + 1e-3).all()
    assert_within_limits(done)


def test_a_past_that_no_arm_has_is_refused_though_it_is_never_due():
    far = {
        "stamp_ns": START_NS,
        "times_ns": START_NS + np.array([-2, -1, 1, 2]) * 100_000_000,
        "positions": np.tile(HOME_POSE.position, (4, 1)),
        "quaternions": np.tile(HOME_POSE.quaternion, (4, 1)),
        "gripper": np.zeros(4),
    }
    far["positions"][0] = 1.5e308
    far["positions"][1] = -1.5e308

    with pytest.raises(ChunkError, match=r"positions\[0\] is .* expected at most 10 m"):
        Chunk(**far)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"times_ns": np.array([-61, 1]) * 10**9}, "due from -61.0 to 1.0 s after its stamp"),
        ({"times_ns": np.array([-1, 61]) * 10**9}, "due from -1.0 to 61.0 s after its stamp"),
        ({"times_ns": np.array([-(2**63), 2**63 - 1])}, "expected at most 2305843009213693952 ns"),
        ({"stamp_ns": 2**62}, "has stamp 4611686018427387904 ns"),
        ({"positions": np.full((2, 3), -10.1)}, "expected at most 10 m from the base"),
    ],
)
def test_a_chunk_far_beyond_any_arm_or_time_is_refused_by_name(changes, words):
    sound = {
        "stamp_ns": 0,
        "times_ns": np.array([1, 2]) * 10**9,
        "positions": np.zeros((2, 3)),
        "quaternions": np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)),
        "gripper": np.zeros(2),
    }
    Chunk(**sound)
    with pytest.raises(ChunkError, match=re.escape(words)):
        Chunk(**{**sound, **changes})


twist_numbers = st.sampled_from(EXTREMES) | st.floats(-30.0, 30.0)


@settings(max_examples=60)
@given(st.lists(st.tuples(*[twist_numbers] * 6), min_size=1, max_size=8))
def test_no_twist_ends_in_numbers_that_are_none_or_beyond_a_limit(rows):
    servo = make_servo()

    def push(row, now_ns):
        try:
            servo.follow_twist(Twist(np.array(row[:3]), np.array(row[3:])), 0.0, now_ns)
        except TwistError:
            return

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = run(
            servo,
            0.05 * len(rows) + 0.2,
            inputs=[
                (START_NS + i * 50_000_000, lambda now, row=row: push(row, now))
                for i, row in enumerate(rows)
            ],
        )
    assert np.isfinite(done.joints).all()
    assert_within_limits(done)


READERS = {Command.from_record: COMMAND_DTYPE, ServoState.from_record: STATE_DTYPE}
READERS[chunk_from_record] = CHUNK_DTYPE


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=100)
@given(st.binary(min_size=512, max_size=512))
def test_what_no_writer_wrote_into_shared_memory_is_read_or_refused_and_ends_nothing(read, noise):
    size = READERS[read].itemsize
    data = (noise * (size // len(noise) + 1))[:size]
    record = np.frombuffer(data, READERS[read]).reshape(())
    with suppress(MessageError, ChunkError):
        read(record)


def test_a_command_of_an_unknown_mode_is_refused_with_the_number():
    record = np.zeros((), COMMAND_DTYPE)
    record["mode"] = 77
    with pytest.raises(MessageError, match="command to the servo: 77 is not a valid ServoMode"):
        Command.from_record(record)
