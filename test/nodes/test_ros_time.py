"""Tests for nodes/ros_time.py."""

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carp_ros.nodes.ros_time import RosTime


class Clocks:
    def __init__(self):
        self.steady_ns, self.ahead_ns = 10**12, 10**18

    def steady(self):
        return self.steady_ns

    def wall(self):
        return self.steady_ns + self.ahead_ns


@given(st.integers(-(10**9), 10**6))
def test_a_time_lies_as_far_from_now_on_either_clock(after_ns):
    clocks = Clocks()
    ros_time = RosTime(clocks.steady, clocks.wall)

    assert ros_time.at(clocks.steady_ns + after_ns) == clocks.wall() + after_ns


def test_a_clock_that_is_set_is_followed_at_once_and_a_correction_makes_no_step_back():
    clocks = Clocks()
    ros_time = RosTime(clocks.steady, clocks.wall)
    ros_time.at(clocks.steady_ns)
    clocks.ahead_ns += 3_600_000_000_000
    clocks.steady_ns += 33_000_000
    assert ros_time.at(clocks.steady_ns) == clocks.wall()

    clocks.ahead_ns -= 40_000_000
    stamps_ns = []
    for _ in range(200):
        clocks.steady_ns += 33_000_000
        stamps_ns.append(ros_time.at(clocks.steady_ns))
    assert all(after > before for before, after in pairwise(stamps_ns))
    assert stamps_ns[-1] == clocks.wall()


def test_the_real_clocks_agree_with_ros_time():
    assert abs(RosTime().at(time.monotonic_ns()) - time.time_ns()) < 1_000_000_000
