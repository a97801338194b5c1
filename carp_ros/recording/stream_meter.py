"""Measures a stream of stamped messages: rate, gaps, order."""

from __future__ import annotations

import math


class StreamMeter:
    """Counts the messages of one stream.

    Args:
        rate_hz: The expected number of messages per second.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = 1e9 / rate_hz
        self.reset()

    def reset(self) -> None:
        """Restart counting; the next message counts as the first."""
        self._first_ns: int | None = None
        self._last_ns = 0
        self.received = 0
        self.out_of_order = 0
        self.largest_gap_ns = 0

    def add(self, stamp_ns: int) -> None:
        """Count a message with this stamp."""
        self.received += 1
        if self._first_ns is None:
            self._first_ns = self._last_ns = stamp_ns
            return
        if stamp_ns <= self._last_ns:
            self.out_of_order += 1
            return
        self.largest_gap_ns = max(self.largest_gap_ns, stamp_ns - self._last_ns)
        self._last_ns = stamp_ns

    @property
    def span_ns(self) -> int:
        """Time from the first stamp to the newest, in [ns]."""
        return 0 if self._first_ns is None else self._last_ns - self._first_ns

    def expected(self, now_ns: int) -> int:
        """Return the number expected by `now_ns`, not counting one that may still be in transit."""
        if self._first_ns is None:
            return 0
        until_newest = round((self._last_ns - self._first_ns) / self._period_ns) + 1
        silent = math.floor((now_ns - self._last_ns) / self._period_ns)
        return until_newest + max(0, silent - 1)

    def share(self, now_ns: int) -> float:
        """Return the ratio of received to expected messages by `now_ns`; 0 before the first."""
        expected = self.expected(now_ns)
        return self.received / expected if expected else 0.0
