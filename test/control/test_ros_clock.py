"""Tests for control/ros_clock.py: a clock that jitters, is slewed, or is set."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.ros_clock import ClockMapping

MS = 1_000_000
OFFSET_NS = -1_700_000_000_000_000_000
TICK_NS = 10 * MS


def stamps(mapping, errors_ns, start_ns=10**12):
    """Return the ROS stamps of ticks, each looked at with an error of the other clock."""
    out = []
    for i, error_ns in enumerate(errors_ns):
        now_ns = start_ns + i * TICK_NS
        out.append(now_ns - mapping.read(now_ns, now_ns - OFFSET_NS + error_ns, now_ns))
    return out


# two looks are then less apart than what counts as a jump, 50 ms
@given(st.lists(st.integers(-24 * MS, 24 * MS), min_size=2, max_size=50))
def test_stamps_rise_however_the_other_clock_jitters_and_no_jump_is_told(errors):
    mapping = ClockMapping()

    told = stamps(mapping, errors)

    assert all(a < b for a, b in itertools.pairwise(told))
    assert mapping.take_jump() == ""


def test_a_slewed_clock_is_followed():
    mapping = ClockMapping()
    drift = [round(i * TICK_NS * 500e-6) for i in range(1000)]

    told = stamps(mapping, drift)

    truth = 10**12 + 999 * TICK_NS - OFFSET_NS + drift[-1]
    assert abs(told[-1] - truth) < MS


@pytest.mark.parametrize(
    ("jump_ns", "words"), [(-3_000_000_000, "set back by 3.000 s"), (10**9, "forward by 1.000 s")]
)
def test_a_clock_that_is_set_is_followed_at_once_and_told_once(jump_ns, words):
    mapping = ClockMapping()

    told = stamps(mapping, [0, 0, jump_ns, jump_ns])

    assert told[2] - told[1] == TICK_NS + jump_ns
    assert told[3] - told[2] == TICK_NS
    assert words in mapping.take_jump()
    assert mapping.take_jump() == ""


def test_a_thread_that_was_interrupted_between_the_clocks_saw_no_jump():
    mapping = ClockMapping()
    mapping.read(0, -OFFSET_NS, 0)

    mapping.read(0, -OFFSET_NS + 200 * MS, 200 * MS)

    assert mapping.take_jump() == ""
