"""The time of plans: it passes as fast as the robot moves.

A robot whose speed is turned down to a half executes half of what it is sent. A plan for it is
followed on the same path in twice the time; otherwise the arm falls behind until that is a fault.
"""

from __future__ import annotations

from collections import deque

_MOST = 2048  # ticks of a slowed robot that are remembered: two seconds at 1 kHz


class PlanClock:
    """How far plans fell behind the clock, and since when.

    Attributes:
        scaling: The share of commanded speed that the robot executes now, 0 to 1.
        lag_ns: How much later than at full speed plans are by now.
    """

    def __init__(self) -> None:
        self.scaling = 1.0
        self.lag_ns = 0
        self._now_ns: int | None = None
        self._lags: deque[tuple[int, int]] = deque(maxlen=_MOST)  # when, and the lag from then on

    def advance(self, now_ns: int, scaling: float) -> None:
        """Let time pass until `now_ns`, of which the robot executes a share of `scaling`."""
        before_ns, self._now_ns, self.scaling = self._now_ns, now_ns, scaling
        if scaling == 1.0 or before_ns is None:
            return
        if not self._lags or self._lags[-1][0] < before_ns:
            self._lags.append((before_ns, self.lag_ns))
        self.lag_ns += round((1.0 - scaling) * (now_ns - before_ns))
        self._lags.append((now_ns, self.lag_ns))

    def lag_at(self, then_ns: int) -> int:
        """Return what `lag_ns` was at a time of the last seconds."""
        later_ns, later = None, self.lag_ns
        for at_ns, lag in reversed(self._lags):
            if at_ns <= then_ns:
                if later_ns is None:
                    return lag
                return lag + (later - lag) * (then_ns - at_ns) // (later_ns - at_ns)
            later_ns, later = at_ns, lag
        return later

    def plan_ns(self, now_ns: int, lag_ns: int) -> int:
        """Return the time of a plan that began when the lag was `lag_ns`."""
        return now_ns - (self.lag_ns - lag_ns)
