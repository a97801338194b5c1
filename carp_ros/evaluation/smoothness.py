"""Measures how smoothly a tool moved, from its sampled positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carp_ros.types import Array

PERIOD_NS = 20_000_000
"""Time between samples; at higher rates, vibrations of the gripper dominate the jerk."""

_SPAN = 2  # samples before and after a moment over which its velocities are averaged


class ToolPath:
    """A tool's positions, sampled every `PERIOD_NS`."""

    def __init__(self) -> None:
        self._positions: list[Array] = []
        self._start_ns: int | None = None

    def is_due(self, now_ns: int) -> bool:
        """Return whether the next sample is due."""
        if self._start_ns is None:
            self._start_ns = now_ns
        return now_ns >= self._start_ns + len(self._positions) * PERIOD_NS

    def take(self, position: Array) -> None:
        """Add the sample that is due, of shape (3,) in [m]."""
        self._positions.append(position.copy())

    @property
    def positions(self) -> Array:
        """The sampled positions, of shape (N, 3) in [m]."""
        return np.array(self._positions).reshape(-1, 3)

    def jerk_m_s3(self) -> float:
        """Return the root mean square jerk; 0 with fewer than four positions."""
        jerks = np.diff(self.positions, n=3, axis=0) / (PERIOD_NS * 1e-9) ** 3
        return float(np.sqrt(np.mean(np.sum(jerks**2, axis=1)))) if len(jerks) else 0.0

    def velocity_jumps_m_s(self, moments_ns: Sequence[int]) -> Array:
        """Return the change of velocity at given moments, in [m/s].

        Velocities are means over the 40 ms before and after; moments without both are left out.

        Args:
            moments_ns: The moments, on the clock of `is_due`.
        """
        positions, start_ns = self.positions, self._start_ns or 0
        indices = [round((moment_ns - start_ns) / PERIOD_NS) for moment_ns in moments_ns]
        at = np.array([i for i in indices if _SPAN <= i < len(positions) - _SPAN], dtype=int)
        change = positions[at + _SPAN] - 2.0 * positions[at] + positions[at - _SPAN]
        return np.linalg.norm(change, axis=1) / (_SPAN * PERIOD_NS * 1e-9)
