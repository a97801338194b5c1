"""Detects jumps of the wall clock: set by a person, by NTP, or after the machine was suspended."""

from __future__ import annotations

_LEAST_NS = 50_000_000  # smaller changes are NTP adjustments or interrupted readings


class WallClock:
    """Compares the wall clock with a steady clock."""

    def __init__(self) -> None:
        self._offset_ns: int | None = None

    def jump_ns(self, steady_ns: int, wall_ns: int) -> int:
        """Return by how much the wall clock jumped since the last call; 0 if it did not.

        Args:
            steady_ns: Reading of the steady clock.
            wall_ns: Reading of the wall clock at the same time.
        """
        before_ns, self._offset_ns = self._offset_ns, wall_ns - steady_ns
        if before_ns is None or abs(self._offset_ns - before_ns) < _LEAST_NS:
            return 0
        return self._offset_ns - before_ns
