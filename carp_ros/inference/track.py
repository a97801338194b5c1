"""The recent past of one stamped stream: its value at a time, or the reason why it is unknown.

Answers are final: data that arrives later never changes them. A recording and the live stream that
it was made from therefore give the same answers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

_S = 1e-9  # nanoseconds to seconds

SET_BACK_NS = 100_000_000
"""A stamp at least this far behind the newest is not a late sample: the clock was set back."""


class Track(Generic[Value]):
    """The samples of one stream, as far back as its history goes.

    Args:
        name: Description of one sample, such as "image of wrist_cam".
        history_s: How far back from the newest sample values can be requested.
        limit_s: For `nearest`: largest distance of the sample from the requested time. For
            `between`: largest gap between the two samples around it. For `before`: largest age.
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
        """The stamps of the kept samples, increasing."""
        return self._stamps_ns

    def take(self, stamp_ns: int, value: Value) -> None:
        """Add a sample; ignore it if it is not newer than the newest.

        Two consecutive samples with increasing stamps, both at least `SET_BACK_NS` behind the
        newest, restart the stream: its clock was set back, and older samples can't be placed on
        the new time. A single such sample is only late.
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
        # keep one sample from before the history: it determines values at the history's beginning
        surplus = bisect_left(self._stamps_ns, stamp_ns - self._history_ns) - 1
        if surplus > 0:
            del self._stamps_ns[:surplus], self._values[:surplus]

    def nearest(self, stamp_ns: int) -> tuple[int, Value] | str:
        """Return stamp and value of the sample nearest to a time, or the reason why there is none.

        Of two equally near samples, the earlier is returned.
        """
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
        """Return the value at a time, interpolated, or the reason why there is none.

        Args:
            stamp_ns: The time.
            interpolate: Returns the value at a fraction, 0 to 1, of the way between two values.
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
        """Return the newest value at or before a time, or the reason why there is none.

        Only final for streams that are stamped on arrival, where no earlier sample can still come.
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
        """Return the reason why a time is not covered, or an empty string."""
        reason = self._absent(stamp_ns)
        if reason:
            return reason
        age_ns = stamp_ns - self._stamps_ns[-1]
        if age_ns > self._limit_ns:
            return (
                f"newest {self.name} is {age_ns * _S:.2f} s old; limit {self._limit_ns * _S:.2f} s"
            )
        if age_ns > 0:
            return f"newest {self.name} is {age_ns * _S:.3f} s old; waiting for the next"
        return ""

    def _absent(self, stamp_ns: int) -> str:
        """Return the reason why there are no samples from that time, or an empty string."""
        if not self._stamps_ns:
            return f"no {self.name} yet"
        newest_ns = self._stamps_ns[-1]
        if newest_ns - stamp_ns > self._history_ns:
            return (
                f"{(newest_ns - stamp_ns) * _S:.2f} s before the newest {self.name};"
                f" history {self._history_ns * _S:.2f} s"
            )
        return ""
