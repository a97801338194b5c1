"""Tests for control/command.py: what one process writes is what the other reads."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.command import (
    MAX_JOINTS,
    MAX_STEPS,
    Command,
    ServoLink,
    ServoState,
    chunk_from_record,
    chunk_to_record,
)
from carp_ros.control.servo import ServoMode
from carp_ros.errors import ChunkError, DeviceError
from carp_ros.reports.control import Fault
from carp_ros.types import Chunk, Pose, SafetyState, Twist

up_to_20 = st.integers(1, 20)
fast = settings(max_examples=30, deadline=None)
integers = st.integers(-(2**62), 2**62)
numbers = st.floats(-1e6, 1e6)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
speeds = st.tuples(*[st.floats(-10.0, 10.0)] * 3).map(np.array)
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=80
)  # at most 4 bytes a character: 320
commands = st.builds(
    Command,
    integers,
    st.sampled_from(ServoMode),
    integers,
    integers,
    st.booleans(),
    st.builds(Twist, speeds, speeds),
    integers,
    st.floats(0.0, 1.0),
)
poses = st.builds(Pose, vectors, st.tuples(*[numbers] * 4).map(np.array))


@st.composite
def states(draw):
    joints = st.lists(numbers, min_size=6, max_size=6) | st.lists(
        numbers, min_size=MAX_JOINTS, max_size=MAX_JOINTS
    )
    count = len(draw(joints))
    row = st.lists(numbers, min_size=count, max_size=count).map(np.array)
    return ServoState(
        now_ns=draw(integers),
        ticks=draw(integers),
        robot_time_s=draw(numbers),
        joints=draw(row),
        velocities=draw(row),
        target_joints=draw(row),
        tcp_pose=draw(poses),
        target_pose=draw(poses),
        gripper=draw(numbers),
        mode=draw(st.sampled_from(ServoMode)),
        moving=draw(st.booleans()),
        ready=draw(st.booleans()),
        busy=draw(st.booleans()),
        safety=draw(st.sampled_from(SafetyState)),
        fault=draw(st.sampled_from(Fault)),
        fault_text=draw(texts),
        resets_done=draw(integers),
        chunk_stamp_ns=draw(integers),
        chunk_begun_ns=draw(integers),
        chunk_late_ns=draw(integers),
        wrench=draw(st.none() | st.lists(numbers, min_size=6, max_size=6).map(np.array)),
        chunks_accepted=draw(integers),
        chunks_refused=draw(integers),
        refusal=draw(texts),
        priority=draw(integers),
    )


@st.composite
def chunks(draw, steps=up_to_20):
    count = draw(steps)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    quaternions = random.normal(size=(count, 4))
    stamp_ns = draw(st.integers(0, 2**60))
    return Chunk(
        stamp_ns=stamp_ns,
        times_ns=stamp_ns
        + draw(st.integers(-(10**9), 10**9))
        + np.cumsum(random.integers(1, 4 * 10**8, count)),
        positions=random.normal(size=(count, 3)),
        quaternions=quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True),
        gripper=random.uniform(size=count),
    )


def assert_equal(a, b):
    """Compare two values of one type, field by field, to the bit."""
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_equal(getattr(a, field.name), getattr(b, field.name))
    else:
        np.testing.assert_array_equal(a, b)


@fast
@given(commands)
def test_a_command_arrives_as_it_was_sent(command):
    assert_equal(Command.from_record(command.to_record()), command)


@fast
@given(states())
def test_a_state_arrives_as_it_was_sent(state):
    assert_equal(ServoState.from_record(state.to_record()), state)


@fast
@given(chunks())
def test_a_chunk_arrives_as_it_was_sent(chunk):
    assert_equal(chunk_from_record(chunk_to_record(chunk)), chunk)


@fast
@given(chunks(), st.integers(-(10**18), 10**18))
def test_on_another_clock_every_time_of_a_chunk_is_moved_alike(chunk, by_ns):
    there = chunk_from_record(chunk_to_record(chunk, by_ns))
    moved = dataclasses.replace(
        chunk, stamp_ns=chunk.stamp_ns + by_ns, times_ns=chunk.times_ns + by_ns
    )
    assert_equal(there, moved)


@given(chunks(st.just(MAX_STEPS)))
@settings(max_examples=3)
def test_the_longest_chunk_arrives_whole(chunk):
    assert_equal(chunk_from_record(chunk_to_record(chunk)), chunk)


@given(chunks(st.just(MAX_STEPS + 1)))
@settings(max_examples=3)
def test_a_chunk_that_is_too_long_is_refused(chunk):
    with pytest.raises(ChunkError, match="129 steps; expected at most 128"):
        chunk_to_record(chunk)


@fast
@given(states(), st.text(alphabet="aé€😀", min_size=321, max_size=400))
def test_a_text_that_is_too_long_is_cut(state, text):
    state = dataclasses.replace(state, fault_text=text, refusal=text)

    arrived = ServoState.from_record(state.to_record())

    assert arrived.fault_text == arrived.refusal
    assert text.startswith(arrived.fault_text.rstrip("\ufffd"))
    assert 316 <= len(arrived.fault_text.rstrip("\ufffd").encode()) <= 320


def tear_times(record):
    record["times_ns"][2] = record["times_ns"][1]


def tear_positions(record):
    record["positions"][1, 0] = np.nan


def tear_quaternions(record):
    record["quaternions"][3] = 0.0


def tear_gripper(record):
    record["gripper"][0] = 2.0


def tear_steps(record):
    record["steps"] = 0


@pytest.mark.parametrize(
    "tear", [tear_times, tear_positions, tear_quaternions, tear_gripper, tear_steps]
)
@given(chunks(st.just(5)))
@settings(max_examples=3)
def test_a_torn_chunk_is_refused(tear, chunk):
    record = chunk_to_record(chunk)
    tear(record)

    with pytest.raises(ChunkError):
        chunk_from_record(record)


def test_values_do_not_change_with_the_record_that_they_came_from():
    chunk = Chunk(1, np.array([2]), np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), np.zeros(1))
    record = chunk_to_record(chunk)
    arrived = chunk_from_record(record)
    record["positions"] = 1.0

    assert not arrived.positions.any()


def test_a_link_carries_each_kind_of_record_and_leaves_no_file():
    name = f"test_{os.getpid()}_link"
    with pytest.raises(DeviceError, match="start the process that writes it first"):
        ServoLink(name, create=False)
    control = ServoLink(name, create=True)
    try:
        servo = ServoLink(name, create=False)
        command = Command(1, ServoMode.TWIST, 2, 3, True, Twist(np.ones(3), np.zeros(3)), 4, 0.5)
        control.command.write(command.to_record())
        assert_equal(Command.from_record(servo.command.read()), command)
        assert servo.state.read() is None
    finally:
        control.unlink()
    with pytest.raises(DeviceError):
        ServoLink(name, create=False)
