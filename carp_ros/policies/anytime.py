"""Decoding that stops early to keep a deadline: as many passes as are expected to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carp_ros.inference.session import Run
from carp_ros.policies.latency import RollingQuantile

_EXPECTED_QUANTILE = 0.9  # a stage is expected to take this quantile of its recent times
_RECENT = 20
_WARM_UP = 2
_DOUBT_FACTOR = 0.95  # factor on a stage's expected time each time that it prevented the stage


class Anytime:
    """Runs passes, each of which makes the result more exact, and then the decoder.

    Args:
        now_ns: The clock of deadlines.
        passes: Number of passes.
    """

    def __init__(self, now_ns: Callable[[], int], passes: int) -> None:
        self._now_ns = now_ns
        self._passes = [_Stopwatch(now_ns) for _ in range(passes)]
        self._decoder = _Stopwatch(now_ns)

    def run(
        self,
        passes: Sequence[Run],
        decoders: Sequence[Run],
        last: int,
        deadline_ns: int | None,
    ) -> int:
        """Run the first pass, those that fit, and the decoder; return how many passes were run.

        Args:
            passes: In order.
            decoders: Of the result after each pass.
            last: Number of the last pass to run.
            deadline_ns: None for no deadline.

        Raises:
            DeviceError: If the runtime fails.
        """
        done = 0
        while done <= last and (done == 0 or self._fits(done, last, deadline_ns)):
            self._passes[done].time(passes[done])
            done += 1
        self._decoder.time(decoders[done - 1])
        return done

    def _fits(self, k: int, last: int, deadline_ns: int | None) -> bool:
        """Return whether pass k and then the decoder are expected to finish in time."""
        if deadline_ns is None:
            return True
        needed_s = self._passes[k].expected_s + self._decoder.expected_s
        if self._now_ns() + needed_s * 1e9 <= deadline_ns:
            return True
        # the cause of slow runs may be gone; without this, the pass would never be tried again
        for late in self._passes[k : last + 1]:
            late.doubt()
        return False


class _Stopwatch:
    """Measures and predicts the duration of a stage."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._recent = RollingQuantile(_EXPECTED_QUANTILE, _RECENT, _WARM_UP)
        self._doubts = 0

    def time(self, run: Run) -> None:
        """Run the stage and measure its duration."""
        begin_ns = self._now_ns()
        run()
        if self._doubts:
            self._doubts = 0
            self._recent.forget()
        self._recent.add((self._now_ns() - begin_ns) * 1e-9)

    @property
    def expected_s(self) -> float:
        """The expected duration; 0 while unknown."""
        return (self._recent.value or 0.0) * _DOUBT_FACTOR**self._doubts

    def doubt(self) -> None:
        self._doubts += 1
