"""Plan time: a clock that runs slower when the robot's speed is scaled down.

A robot set to half speed executes half of the commanded motion. Its plans follow the same path in
twice the time; otherwise the arm would fall behind until the tracking error becomes a fault.
"""

from __future__ import annotations

from collections import deque

_MOST = 2048  # slowed ticks to remember: two seconds at 1 kHz


class PlanClock:
    """How far plan time lags behind the clock, now and in the recent past.

    Attributes:
        scaling: The share of commanded speed that the robot executes now, 0 to 1.
        lag_ns: Accumulated delay of plans compared with full speed.
    """

    def __init__(self) -> None:
        self.scaling = 1.0
        self.lag_ns = 0
        self._now_ns: int | None = None
        self._lags: deque[tuple[int, int]] = deque(maxlen=_MOST)  # (time, lag at that time)

    def advance(self, now_ns: int, scaling: float) -> None:
        """Advance to `now_ns`; in the time passed the robot executed a share of `scaling`."""
        before_ns, self._now_ns, self.scaling = self._now_ns, now_ns, scaling
        if scaling == 1.0 or before_ns is None:
            return
        if not self._lags or self._lags[-1][0] < before_ns:
            self._lags.append((before_ns, self.lag_ns))
        self.lag_ns += round((1.0 - scaling) * (now_ns - before_ns))
        self._lags.append((now_ns, self.lag_ns))

    def lag_at(self, then_ns: int) -> int:
        """Return `lag_ns` as it was at `then_ns`, a time within the last seconds."""
        later_ns, later = None, self.lag_ns
        for at_ns, lag in reversed(self._lags):
            if at_ns <= then_ns:
                if later_ns is None:
                    return lag
                return lag + (later - lag) * (then_ns - at_ns) // (later_ns - at_ns)
            later_ns, later = at_ns, lag
        return later

    def plan_ns(self, now_ns: int, lag_ns: int) -> int:
        """Return the plan time at `now_ns` of a plan that began when the lag was `lag_ns`."""
        return now_ns - (self.lag_ns - lag_ns)
