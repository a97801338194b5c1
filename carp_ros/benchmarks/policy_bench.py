"""Measures policies, each in its own process, by running a few chunks of each in turn.

Taking turns makes other load on the machine affect all of them alike: rows of one report can be
compared, rows of two reports can't.
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
    """Results of a case.

    Attributes:
        case: The case.
        started: Cost of starting it.
        chunks: Number of measured chunks.
        stages_ms: `p50`, `p99` and `max` of each stage and of the total; for a peer, of the total.
        peak_gflop_s: Peak rate of large matrix products with as many threads, in this run.
    """

    case: Case
    started: Started
    chunks: int
    stages_ms: dict[str, dict[str, float]]
    peak_gflop_s: float | None

    @property
    def chunks_a_s(self) -> float:
        """Chunks per second, one after the other, at the median time."""
        return 1e3 / self._median_ms

    @property
    def share_of_floor(self) -> float | None:
        """Time of a chunk's operations at the peak rate, as a share of the measured time."""
        gflop = self.started.gflop
        if gflop is None or self.peak_gflop_s is None:
            return None
        return 1e3 * gflop / self.peak_gflop_s / self._median_ms

    @property
    def _median_ms(self) -> float:
        return max(self.stages_ms["total"]["p50"], 1e-3)  # its rounding


def measure_cases(
    cases: Sequence[Case],
    chunks: int,
    a_turn: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> list[CaseFigures]:
    """Measure all cases.

    Args:
        cases: The cases; their processes are started one after the other. A case with a limit,
            `most`, runs one chunk per turn until it reaches the limit.
        chunks: Number to measure of each.
        a_turn: Chunks of one case before the next one's turn.
        progress: Called with the number of chunks done of every case without a limit.

    Raises:
        ValueError: If there is nothing to measure, or a bundle is invalid.
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
