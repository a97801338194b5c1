"""How long policies take, each in a process of its own, a few chunks of each in turn.

In turn, so that what else the machine does meanwhile hits all of them alike: rows of one report can
be compared, those of two can't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from carp_ros.benchmarks.bench_process import BundleCase, PeerCase, Started, Turn
from carp_ros.evaluation.policy_report import percentiles

Case = BundleCase | PeerCase


@dataclass(frozen=True)
class CaseFigures:
    """What a case took.

    Attributes:
        case: Which.
        started: What starting took.
        chunks: How many were measured.
        stages_ms: By stage, and in all: `p50`, `p99` and `max`; of a peer, in all only.
        peak_gflop_s: What products of large matrices reach with as many threads, in this run.
    """

    case: Case
    started: Started
    chunks: int
    stages_ms: dict[str, dict[str, float]]
    peak_gflop_s: float | None

    @property
    def chunks_a_s(self) -> float:
        """One after the other, at the median."""
        return 1e3 / self._median_ms

    @property
    def share_of_floor(self) -> float | None:
        """How much of the time would be needed if all of it were products at the peak."""
        gflop = self.started.gflop
        if gflop is None or self.peak_gflop_s is None:
            return None
        return 1e3 * gflop / self.peak_gflop_s / self._median_ms

    @property
    def _median_ms(self) -> float:
        return max(self.stages_ms["total"]["p50"], 1e-3)  # it is rounded to that


def measure_cases(
    cases: Sequence[Case],
    chunks: int,
    a_turn: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> list[CaseFigures]:
    """Measure all cases.

    Args:
        cases: Which. They start one after the other; of one with a limit, `most`, there is one
            chunk a turn until it is reached.
        chunks: Of each.
        a_turn: So many of one case, then it is the next one's turn.
        progress: Called with the number of chunks that are done of every case without a limit.

    Raises:
        ValueError: If there is nothing to measure, or a bundle is not as it should be.
        DeviceError: If a process ends.
    """
    if not cases or chunks < 1:
        raise ValueError(f"{len(cases)} cases, {chunks} chunks of each; expected 1 or more each")
    with ExitStack() as stack:
        workers = [stack.enter_context(case.worker()) for case in cases]
        turns: list[list[Turn]] = [[] for _ in cases]
        done = 0
        while done < chunks:
            count = min(a_turn, chunks - done)
            for case, worker, of_case in zip(cases, workers, turns):
                if not case.most:
                    of_case.append(worker.turn(count))
                elif len(of_case) < case.most:
                    of_case.append(worker.turn(1))
            done += count
            progress(done)
        return [_figures(*each) for each in zip(cases, (w.started for w in workers), turns)]


def _figures(case: Case, started: Started, turns: list[Turn]) -> CaseFigures:
    seconds = [chunk for turn in turns for chunk in turn.seconds]
    stages_ms: dict[str, dict[str, float]] = {}
    for name in stage_names(seconds):
        times_ms = [1e3 * chunk[name] for chunk in seconds if name in chunk]
        if times_ms:
            stages_ms[name] = percentiles(times_ms) | {"max": round(max(times_ms), 3)}
    peaks = [turn.peak_gflop_s for turn in turns if turn.peak_gflop_s is not None]
    return CaseFigures(case, started, len(seconds), stages_ms, max(peaks, default=None))


def stage_names(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the names of all stages, in the order in which they run, `total` last."""
    names = dict.fromkeys(name for row in rows for name in row if name != "total")
    return [*names, "total"]
