"""Converts times of the monotonic clock, in which devices stamp their data, to ROS time."""

from __future__ import annotations

import time
from collections.abc import Callable

from carp_ros.control.ros_clock import ClockMapping


class RosTime:
    """The relation between this machine's monotonic clock and its wall clock, which is ROS time.

    It is measured at each call: the wall clock may be set or corrected at any time.

    Args:
        steady_ns, wall_ns: The two clocks; others for tests.
    """

    def __init__(
        self,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._steady_ns = steady_ns
        self._wall_ns = wall_ns
        self._mapping = ClockMapping()

    def at(self, steady_ns: int) -> int:
        """Return the ROS time in [ns] of a recent monotonic time."""
        before_ns, ros_ns, after_ns = self._steady_ns(), self._wall_ns(), self._steady_ns()
        return steady_ns - self._mapping.read(before_ns, ros_ns, after_ns)
