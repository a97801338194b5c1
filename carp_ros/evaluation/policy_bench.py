"""How long policies take, each in a process of its own, a few chunks of each in turn.

In turn, so that what else the machine does meanwhile hits all of them alike: rows of one report can
be compared, those of two can't.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.evaluation.policy_report import stage_percentiles_ms
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.choose_runtime import RuntimeName, choose_runtime
from carp_ros.inference.layout import tool_from_vector
from carp_ros.parent import end_worker_with_parent
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import StageSeconds
from carp_ros.types import Observation

_CAMERA_PX = (480, 640)  # what is resized for the network
_PRODUCT = 768  # rows and columns of the matrices that the peak is measured with
_PRODUCTS = 5  # after each turn


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        bundle: Its folder.
        runtime: What computes its graphs.
        threads: How many compute one operator on the CPU.
    """

    bundle: Path
    runtime: RuntimeName = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class CaseFigures:
    """What a case took.

    Attributes:
        case: Which.
        start_s: Until it was loaded, had computed its golden case, and was warm.
        memory_mb: How much more the process then held.
        stages_ms: By stage, and in all: `p50`, `p99` and `max`.
        chunks_a_s: One after the other, at the median.
        gflop: Of one chunk, multiplications and additions; None if the bundle does not say.
        peak_gflop_s: What products of large matrices reach with as many threads, in this run.
    """

    case: Case
    start_s: float
    memory_mb: float
    stages_ms: dict[str, dict[str, float]]
    chunks_a_s: float
    gflop: float | None
    peak_gflop_s: float

    @property
    def share_of_floor(self) -> float | None:
        """How much of the time would be needed if all of it were products at the peak."""
        if self.gflop is None:
            return None
        return 1e3 * self.gflop / self.peak_gflop_s / self.stages_ms["total"]["p50"]


def measure_cases(
    cases: Sequence[Case],
    chunks: int,
    a_turn: int = 10,
    progress: Callable[[int], None] = lambda done: None,
) -> list[CaseFigures]:
    """Measure all cases.

    Args:
        cases: Which.
        chunks: Of each.
        a_turn: So many of one case, then it is the next one's turn.
        progress: Called with the number of chunks that are done of every case.

    Raises:
        ValueError: If there is nothing to measure, or a bundle is not as it should be.
        DeviceError: If a process ends.
    """
    if not cases or chunks < 1:
        raise ValueError(f"{len(cases)} cases, {chunks} chunks of each; expected 1 or more each")
    with _workers(cases) as workers:
        started = [_answer(worker) for worker in workers]
        stages: list[list[StageSeconds]] = [[] for _ in cases]
        peaks: list[list[float]] = [[] for _ in cases]
        done = 0
        while done < chunks:
            count = min(a_turn, chunks - done)
            for worker, of_case, peaks_of_case in zip(workers, stages, peaks):
                worker.send(count)
                taken, peak = _answer(worker)
                of_case += taken
                peaks_of_case.append(peak)
            done += count
            progress(done)
    return [
        _figures(case, start_s, memory_mb, of_case, max(peaks_of_case))
        for case, (start_s, memory_mb), of_case, peaks_of_case in zip(cases, started, stages, peaks)
    ]


def _figures(
    case: Case, start_s: float, memory_mb: float, stages: list[StageSeconds], peak: float
) -> CaseFigures:
    summary = stage_percentiles_ms(stages)
    for name, figures in summary.items():
        figures["max"] = round(1e3 * max(getattr(stage, name) for stage in stages), 3)
    flops = load_bundle(case.bundle).manifest.made.get("flops")
    return CaseFigures(
        case,
        round(start_s, 3),
        round(memory_mb, 1),
        summary,
        round(1e3 / summary["total"]["p50"], 1),
        1e-9 * sum(flops.values()) if flops else None,
        round(peak, 1),
    )


@contextmanager
def _workers(cases: Sequence[Case]) -> Iterator[list[Connection]]:
    """Start a process for each case; they end with the context."""
    context = multiprocessing.get_context("spawn")
    ours, processes = [], []
    try:
        for case in cases:
            our, their = context.Pipe()
            process = context.Process(target=_work, args=(case, their), daemon=True)
            with _blas_threads(case.threads):
                process.start()
            their.close()
            ours.append(our)
            processes.append(process)
        yield ours
    finally:
        for connection in ours:
            connection.close()
        for process in processes:
            process.join(2.0)
            process.kill()


@contextmanager
def _blas_threads(count: int) -> Iterator[None]:
    """Let a process that is started meanwhile multiply matrices with so many threads."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _answer(worker: Connection) -> Any:
    try:
        answer = worker.recv()
    except EOFError as error:
        raise DeviceError("a process that runs a policy ended; see above") from error
    if isinstance(answer, Exception):
        raise answer
    return answer


def _work(case: Case, parent: Connection) -> None:
    """Load a policy, then run as many chunks as are asked for, until nobody asks."""
    end_worker_with_parent()
    cv2.setNumThreads(case.threads)
    begin_s, begin_mb = time.perf_counter(), _memory_mb()
    try:
        bundle = load_bundle(case.bundle)
        task = bundle.manifest.tasks[0]
        runtime = choose_runtime(case.runtime, case.threads).runtime
        policy = load_policy(case.bundle, task, time.monotonic_ns, runtime=runtime)
        parent.send((time.perf_counter() - begin_s, _memory_mb() - begin_mb))
        rng = np.random.default_rng(0)
        images = {c: rng.integers(0, 256, (*_CAMERA_PX, 3), np.uint8) for c in policy.cameras}
        tool, gripper = tool_from_vector(bundle.golden()["state"][0])
        seen = Observation(0, images, dict.fromkeys(images, 0), tool, gripper, np.zeros(6))
        while True:
            stages = [policy.infer(seen).stages for _ in range(parent.recv())]
            parent.send((stages, _peak_gflop_s()))
    except EOFError:
        return
    except Exception as error:  # whoever asked says it
        parent.send(error)


def _peak_gflop_s() -> float:
    """Return what products of large float32 matrices reach here and now."""
    a = np.ones((_PRODUCT, _PRODUCT), np.float32)
    times_s = []
    for _ in range(_PRODUCTS):
        begin_s = time.perf_counter()
        np.matmul(a, a)
        times_s.append(time.perf_counter() - begin_s)
    return 2e-9 * _PRODUCT**3 / min(times_s)


def _memory_mb() -> float:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return 1e-6 * pages * os.sysconf("SC_PAGE_SIZE")
