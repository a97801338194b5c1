"""Timing statistics of a loop: lateness and cost of its ticks."""

from __future__ import annotations

import numpy as np

_WINDOW = 1 << 15


class TickStatistics:
    """Lateness and cost of the last 32768 ticks, about a minute at 500 Hz."""

    def __init__(self) -> None:
        self._late_s = np.zeros(_WINDOW, np.float32)
        self._cost_s = np.zeros(_WINDOW, np.float32)
        self.ticks = 0
        self.lost = 0

    def record(self, late_s: float, cost_s: float) -> None:
        """Add a tick that began `late_s` after it was due and took `cost_s`."""
        slot = self.ticks % _WINDOW
        self._late_s[slot] = late_s
        self._cost_s[slot] = cost_s
        self.ticks += 1

    def reset(self) -> None:
        """Reset the statistics."""
        self.ticks = self.lost = 0

    def summary(self) -> dict[str, float]:
        """Return counts, and percentiles in [us]."""
        counts: dict[str, float] = {"ticks": self.ticks, "lost": self.lost}
        if self.ticks == 0:
            return counts
        late, cost = self._late_s[: self.ticks] * 1e6, self._cost_s[: self.ticks] * 1e6
        for name, values in (("late", late), ("cost", cost)):
            p50, p99, worst = np.percentile(values, (50, 99, 100)).tolist()
            counts |= {f"{name}_p50_us": p50, f"{name}_p99_us": p99, f"{name}_max_us": worst}
        counts["late_over_1ms"] = float((late > 1000).mean())
        return counts
