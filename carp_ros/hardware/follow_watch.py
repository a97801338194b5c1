"""Tells whether an arm goes where it is sent, where its driver does not say so itself."""

from __future__ import annotations

import math

import numpy as np

from carp_ros.types import Array


class FollowWatch:
    """Compares measured joints with the targets of the last moments.

    An arm that follows with some lag is always near a place where it was sent a moment ago. One
    whose controller is not active, or that another program moves, is not.

    Args:
        joints: Where the arm stands before the first target, of shape (J,) in [rad].
        targets: Number of targets that an arm may lag behind.
        tolerance_rad: How far a joint may be off all of them.
    """

    def __init__(self, joints: Array, targets: int, tolerance_rad: float) -> None:
        self._ring = np.tile(joints, (targets, 1))
        self._next = 0
        self._tolerance_rad = tolerance_rad

    @classmethod
    def of_rate(
        cls, joints: Array, rate_hz: float, within_s: float, tolerance_rad: float
    ) -> FollowWatch:
        """Return a watch of an arm that gets `rate_hz` targets a second and lags by `within_s`."""
        return cls(joints, max(1, math.ceil(within_s * rate_hz)), tolerance_rad)

    def sent(self, joints: Array) -> None:
        """Take a target that was sent."""
        self._ring[self._next] = joints
        self._next = (self._next + 1) % len(self._ring)

    def off_rad(self, joints: Array) -> Array:
        """Return how far each measured joint is off its targets beyond the tolerance; 0 if within.

        Args:
            joints: Measured, of shape (J,) in [rad].
        """
        lowest, highest = self._ring.min(axis=0), self._ring.max(axis=0)
        off = np.maximum(lowest - joints, joints - highest)
        return np.maximum(off - self._tolerance_rad, 0.0)
