"""Notices that the wall clock was set: by a person, by NTP, by a machine that slept."""

from __future__ import annotations

_LEAST_NS = 50_000_000  # in between lie the adjustments of NTP, and readings that were interrupted


class WallClock:
    """Compares the wall clock with a steady one."""

    def __init__(self) -> None:
        self._offset_ns: int | None = None

    def jump_ns(self, steady_ns: int, wall_ns: int) -> int:
        """Return by how much the wall clock was set since the last call; 0 if it was not.

        Args:
            steady_ns: What the steady clock shows.
            wall_ns: What the wall clock shows at the same time.
        """
        before_ns, self._offset_ns = self._offset_ns, wall_ns - steady_ns
        if before_ns is None or abs(self._offset_ns - before_ns) < _LEAST_NS:
            return 0
        return self._offset_ns - before_ns
