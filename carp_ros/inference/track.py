"""The recent past of one stamped stream: what it was at a time, or why nobody knows.

An answer is final: whatever arrives later would not change it. A recording that is read in one go
and the live stream that it was made from therefore agree about every moment.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

_S = 1e-9  # seconds of a nanosecond

SET_BACK_NS = 100_000_000
"""Stamps that lie this far behind the newest are no late samples: the clock was set back."""


class Track(Generic[Value]):
    """The samples of one stream, as far back as its history reaches.

    Args:
        name: What one sample is, in words: "image of wrist_cam".
        history_s: How far behind the newest sample may be asked for.
        limit_s: Of `nearest`: how far from the asked time a sample may lie. Of `between`: how far
            the two samples around it may lie apart. Of `before`: how old the sample may be.
    """

    def __init__(self, name: str, history_s: float, limit_s: float) -> None:
        self.name = name
        self._history_ns = round(history_s * 1e9)
        self._limit_ns = round(limit_s * 1e9)
        self._stamps_ns: list[int] = []
        self._values: list[Value] = []
        self._straggler: tuple[int, Value] | None = None

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps of the samples that are kept, rising."""
        return self._stamps_ns

    def take(self, stamp_ns: int, value: Value) -> None:
        """Add a sample; one that is not newer than the newest is ignored.

        Two in a row that rise, `SET_BACK_NS` or more behind it, begin the stream anew: the clock
        that makes the stamps was set back, and what was before has no place on the new one. A
        single one was only late on its way.
        """
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            if self._stamps_ns[-1] - stamp_ns < SET_BACK_NS:
                return
            first, self._straggler = self._straggler, (stamp_ns, value)
            if first is None or stamp_ns <= first[0]:
                return
            self._stamps_ns[:], self._values[:] = [first[0]], [first[1]]
        self._straggler = None
        self._stamps_ns.append(stamp_ns)
        self._values.append(value)
        # the last one before the history's begin stays: it decides what was at that begin
        surplus = bisect_left(self._stamps_ns, stamp_ns - self._history_ns) - 1
        if surplus > 0:
            del self._stamps_ns[:surplus], self._values[:surplus]

    def nearest(self, stamp_ns: int) -> tuple[int, Value] | str:
        """Return the sample nearest to a time with its stamp, the earlier of two, or why not."""
        reason = self._unknown(stamp_ns)
        if reason:
            return reason
        after = bisect_left(self._stamps_ns, stamp_ns)
        index = min(
            range(max(after - 1, 0), after + 1), key=lambda i: abs(self._stamps_ns[i] - stamp_ns)
        )
        distance_ns = abs(self._stamps_ns[index] - stamp_ns)
        if distance_ns > self._limit_ns:
            return (
                f"nearest {self.name} is {distance_ns * _S:.2f} s away;"
                f" limit {self._limit_ns * _S:.2f} s"
            )
        return self._stamps_ns[index], self._values[index]

    def between(
        self, stamp_ns: int, interpolate: Callable[[Value, Value, float], Value]
    ) -> Value | str:
        """Return the value at a time, interpolated from the samples around it, or why not.

        Args:
            stamp_ns: The time.
            interpolate: Returns the value a fraction, 0 to 1, of the way from one to another.
        """
        reason = self._unknown(stamp_ns)
        if reason:
            return reason
        after = bisect_left(self._stamps_ns, stamp_ns)
        end_ns = self._stamps_ns[after]
        if end_ns == stamp_ns:
            return self._values[after]
        if after == 0:
            return f"first {self.name} is {(end_ns - stamp_ns) * _S:.2f} s later"
        start_ns = self._stamps_ns[after - 1]
        if end_ns - start_ns > self._limit_ns:
            return (
                f"{(end_ns - start_ns) * _S:.2f} s without a {self.name};"
                f" limit {self._limit_ns * _S:.2f} s"
            )
        fraction = (stamp_ns - start_ns) / (end_ns - start_ns)
        return interpolate(self._values[after - 1], self._values[after], fraction)

    def before(self, stamp_ns: int) -> Value | str:
        """Return the newest value of a time or before it, or why there is none.

        Final of a stream alone whose samples are stamped as they arrive: none is on its way.
        """
        reason = self._absent(stamp_ns)
        if reason:
            return reason
        after = bisect_right(self._stamps_ns, stamp_ns)
        if after == 0:
            return f"first {self.name} is {(self._stamps_ns[0] - stamp_ns) * _S:.2f} s later"
        age_ns = stamp_ns - self._stamps_ns[after - 1]
        if age_ns > self._limit_ns:
            return (
                f"newest {self.name} is {age_ns * _S:.2f} s old; limit {self._limit_ns * _S:.2f} s"
            )
        return self._values[after - 1]

    def _unknown(self, stamp_ns: int) -> str:
        """Return why a time is not within what is known, if so."""
        reason = self._absent(stamp_ns)
        if reason:
            return reason
        age_ns = stamp_ns - self._stamps_ns[-1]
        if age_ns > self._limit_ns:
            return (
                f"newest {self.name} is {age_ns * _S:.2f} s old; limit {self._limit_ns * _S:.2f} s"
            )
        if age_ns > 0:
            return f"newest {self.name} is {age_ns * _S:.3f} s old; the next decides"
        return ""

    def _absent(self, stamp_ns: int) -> str:
        """Return why there are no samples, or none as old as that any more, if so."""
        if not self._stamps_ns:
            return f"no {self.name} yet"
        newest_ns = self._stamps_ns[-1]
        if newest_ns - stamp_ns > self._history_ns:
            return (
                f"{(newest_ns - stamp_ns) * _S:.2f} s before the newest {self.name};"
                f" history {self._history_ns * _S:.2f} s"
            )
        return ""
