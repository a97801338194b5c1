"""How smoothly a tool really moved, from where it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carp_ros.types import Array

PERIOD_NS = 20_000_000
"""Between two positions: faster, and the jerk is that of the gripper's mechanics."""

_SPAN = 2  # positions on each side that a velocity is taken from


class ToolPath:
    """Where a tool was, every `PERIOD_NS`."""

    def __init__(self) -> None:
        self._positions: list[Array] = []
        self._start_ns: int | None = None

    def is_due(self, now_ns: int) -> bool:
        """Tell whether the next position belongs to now."""
        if self._start_ns is None:
            self._start_ns = now_ns
        return now_ns >= self._start_ns + len(self._positions) * PERIOD_NS

    def take(self, position: Array) -> None:
        """Take note of the position that is due, of shape (3,) in [m]."""
        self._positions.append(position.copy())

    @property
    def positions(self) -> Array:
        """Of shape (N, 3) in [m]."""
        return np.array(self._positions).reshape(-1, 3)

    def jerk_m_s3(self) -> float:
        """Return the root mean square of the third derivative; 0 for less than four positions."""
        jerks = np.diff(self.positions, n=3, axis=0) / (PERIOD_NS * 1e-9) ** 3
        return float(np.sqrt(np.mean(np.sum(jerks**2, axis=1)))) if len(jerks) else 0.0

    def velocity_jumps_m_s(self, moments_ns: Sequence[int]) -> Array:
        """Return by how much the velocity differs between just after and just before moments.

        Each velocity is the mean over 40 ms; moments without such a before and after are left out.

        Args:
            moments_ns: By the clock of `is_due`.
        """
        positions, start_ns = self.positions, self._start_ns or 0
        indices = [round((moment_ns - start_ns) / PERIOD_NS) for moment_ns in moments_ns]
        at = np.array([i for i in indices if _SPAN <= i < len(positions) - _SPAN], dtype=int)
        change = positions[at + _SPAN] - 2.0 * positions[at] + positions[at - _SPAN]
        return np.linalg.norm(change, axis=1) / (_SPAN * PERIOD_NS * 1e-9)
