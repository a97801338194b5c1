"""Statistics of inference latency."""

from __future__ import annotations

import math
from collections import deque


class RollingQuantile:
    """A quantile of the most recent values.

    Args:
        quantile: 0 to 1; between two values the upper is taken, a value that did occur.
        window: Number of values.
        warm_up: Number of first values to ignore, as caches are cold.
    """

    def __init__(self, quantile: float, window: int, warm_up: int = 0) -> None:
        self._quantile = quantile
        self._values: deque[float] = deque(maxlen=window)
        self._to_skip = warm_up

    def add(self, value: float) -> None:
        """Add a value."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return
        self._values.append(value)

    def forget(self) -> None:
        """Drop all values; no warm-up follows."""
        self._values.clear()

    @property
    def value(self) -> float | None:
        """The quantile, or None while there are no values."""
        if not self._values:
            return None
        return sorted(self._values)[math.ceil(self._quantile * (len(self._values) - 1))]


class LatencyTracker:
    """Latencies from capture to chunk: the p95 of the last 50, without the first 3.

    Not the maximum, which a single outlier would dominate for the next ten seconds.

    Args:
        budget_s: A chunk with a longer latency is useless.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._p95 = RollingQuantile(0.95, window=50, warm_up=3)
        self.over_budget = 0

    def add(self, latency_s: float) -> bool:
        """Add a latency; return whether it is within the budget."""
        self._p95.add(latency_s)
        within = latency_s <= self._budget_s
        self.over_budget += not within
        return within

    @property
    def p95_s(self) -> float | None:
        """The 95 % quantile; None before the fourth latency."""
        return self._p95.value

    def late_steps(self, step_s: float) -> int:
        """Return how many steps of a chunk usually are past when it arrives.

        At least one, as step 0 is due at the observation's stamp.

        Args:
            step_s: Time between two steps.
        """
        return 0 if self.p95_s is None else math.floor(self.p95_s / step_s) + 1
