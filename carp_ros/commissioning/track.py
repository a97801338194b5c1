"""What was measured while the arm moved, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carp_ros.types import Array

_AVERAGED = 5  # samples at 100 Hz
_AT_REST_M = 0.0005

Sample = tuple[int, Array, Array, float]
"""Time, position of the TCP, joints, and the TCP's speed."""


@dataclass(frozen=True)
class Stop:
    """How the arm came to rest.

    Attributes:
        speed_m_s: Of the tool when it was told to stop.
        seconds, metres: From then until it stood still.
    """

    speed_m_s: float
    seconds: float
    metres: float


@dataclass(frozen=True)
class Track:
    """Measured poses over time.

    Attributes:
        times_ns: Increasing, of shape (N,), N at least 1.
        positions: Of the TCP in the base frame, of shape (N, 3) in [m].
        joints: Of shape (N, J) in [rad].
        speeds_m_s: Of the TCP, from the joint velocities that the robot measures, of shape (N,).
            Differences of positions would mistake the jitter of their stamps for speed.
    """

    times_ns: npt.NDArray[np.int64]
    positions: Array
    joints: Array
    speeds_m_s: Array

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Track:
        """Return the track of samples."""
        times, positions, joints, speeds = zip(*samples)
        return cls(
            np.array(times, dtype=np.int64),
            np.stack(positions),
            np.stack(joints),
            np.array(speeds, dtype=np.float64),
        )

    def along(self, direction: Array) -> Array:
        """Return the way from the first position along a unit vector, of shape (N,) in [m]."""
        return (self.positions - self.positions[0]) @ direction

    def off_line_m(self, direction: Array) -> float:
        """Return the largest distance from the line through the first position along a vector."""
        way = self.positions - self.positions[0]
        return float(np.linalg.norm(way - np.outer(way @ direction, direction), axis=1).max())

    @property
    def spread_m(self) -> float:
        """The largest distance from the first position."""
        return float(np.linalg.norm(self.positions - self.positions[0], axis=1).max())

    @property
    def peak_speed_m_s(self) -> float:
        """The tool's highest speed, averaged over a few samples."""
        over = min(_AVERAGED, len(self.speeds_m_s))
        return float(np.convolve(self.speeds_m_s, np.full(over, 1.0 / over), "valid").max())

    def speed_at_m_s(self, now_ns: int) -> float:
        """Return the tool's speed at a time, averaged over the few samples before it."""
        last = int(np.searchsorted(self.times_ns, now_ns, side="right"))
        recent = self.speeds_m_s[max(0, last - _AVERAGED) : last]
        return float(recent.mean()) if len(recent) else 0.0

    def stop_after(self, told_ns: int) -> Stop:
        """Return how the arm came to rest after it was told to."""
        begun = min(int(np.searchsorted(self.times_ns, told_ns)), len(self.times_ns) - 1)
        left_m = np.linalg.norm(self.positions[begun:] - self.positions[-1], axis=1)
        moving = np.flatnonzero(left_m > _AT_REST_M)
        rest = begun + (int(moving[-1]) + 1 if len(moving) else 0)
        seconds = max(0, int(self.times_ns[rest]) - told_ns) * 1e-9 if rest > begun else 0.0
        return Stop(self.speed_at_m_s(told_ns), seconds, float(left_m[0]))
