"""How long inference takes, as a number to plan with."""

from __future__ import annotations

import math
from collections import deque


class RollingQuantile:
    """A quantile of the newest values.

    Args:
        quantile: 0 to 1; one between two values is the upper, so that it is a time that was taken.
        window: How many values count.
        warm_up: How many first ones do not: caches are cold then.
    """

    def __init__(self, quantile: float, window: int, warm_up: int = 0) -> None:
        self._quantile = quantile
        self._values: deque[float] = deque(maxlen=window)
        self._to_skip = warm_up

    def add(self, value: float) -> None:
        """Take a value."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return
        self._values.append(value)

    def forget(self) -> None:
        """Forget every value; none is skipped again."""
        self._values.clear()

    @property
    def value(self) -> float | None:
        """The quantile, or None while there are no values."""
        if not self._values:
            return None
        return sorted(self._values)[math.ceil(self._quantile * (len(self._values) - 1))]


class LatencyTracker:
    """Latencies from capture to chunk: the p95 of the last 50, without the first 3.

    Not the worst: one hiccup would be planned for during the next ten seconds.

    Args:
        budget_s: A chunk later than this is of no use.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._p95 = RollingQuantile(0.95, window=50, warm_up=3)
        self.over_budget = 0

    def add(self, latency_s: float) -> bool:
        """Take note of one latency; return whether it is within the budget."""
        self._p95.add(latency_s)
        within = latency_s <= self._budget_s
        self.over_budget += not within
        return within

    @property
    def p95_s(self) -> float | None:
        """What 95 % of the latencies stay below; None before the fourth."""
        return self._p95.value

    def late_steps(self, step_s: float) -> int:
        """Return how many first steps of a chunk are past, usually, when it arrives.

        Step 0 is due when the observation was made, so one always is.

        Args:
            step_s: Between two steps.
        """
        return 0 if self.p95_s is None else math.floor(self.p95_s / step_s) + 1
