"""Runs policies to be measured, each in its own process: bundles, and peers.

A peer is a policy of another project. It runs in another Python environment by
`bench/peers/peer.py`, which documents its protocol.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar, Protocol

import cv2
import numpy as np

from carp_ros.errors import CarpError, DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.layout import TOOL, tcp_pose_from_vector
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.policies.load import load_policy
from carp_ros.processes.parent import end_worker_with_parent
from carp_ros.refusal import in_words, refusing
from carp_ros.runtimes import RuntimeName, choose_runtime
from carp_ros.types import Array, Observation, Pose

_CAMERA_PX = (480, 640)  # before resizing to the network's input
_PRODUCT = 768  # rows and columns of the matrices for measuring the peak
_PRODUCTS = 5  # after each turn
_ENDING_S = 5.0


@dataclass(frozen=True)
class Started:
    """Cost of starting a policy.

    Attributes:
        seconds: Time for loading and warming up, for a bundle including the golden case.
        memory_mb: Increase of the process's memory; None if unknown.
        parameters: Number of weights; None if unknown.
        gflop: Floating-point operations of one chunk; None if unknown.
    """

    seconds: float
    memory_mb: float | None = None
    parameters: int | None = None
    gflop: float | None = None


@dataclass(frozen=True)
class Turn:
    """Measurements of some chunks.

    Attributes:
        seconds: Of each chunk by stage; at least `total`.
        peak_gflop_s: Peak rate of large matrix products right after; None if not measured.
    """

    seconds: list[dict[str, float]]
    peak_gflop_s: float | None = None


class Worker(Protocol):
    """A process with a policy."""

    @property
    def started(self) -> Started:
        """Cost of starting it."""
        ...

    def turn(self, chunks: int) -> Turn:
        """Run this many chunks, one after the other.

        Raises:
            DeviceError: If the process ends.
        """
        ...


@dataclass(frozen=True)
class BundleCase:
    """A bundle to measure.

    Attributes:
        bundle: Its folder.
        runtime: Runs its graphs.
        threads: CPU threads per operator.
    """

    bundle: Path
    runtime: RuntimeName = "cpu"
    threads: int = 1
    most: ClassVar[int] = 0

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.bundle.name

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Start its process, which ends with the context.

        Raises:
            ValueError: If the bundle is invalid.
            DeviceError: If the runtime is not available.
        """
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self, theirs), daemon=True)
        # Ctrl-C in a terminal must only reach the parent, which then ends this process
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _blas_threads(self.threads):
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        try:
            yield _BundleWorker(ours, _answer(ours))
        finally:
            ours.close()
            process.join(_ENDING_S)
            process.kill()


@dataclass(frozen=True)
class PeerCase:
    """A policy of another project to measure.

    Attributes:
        name: Shown to people.
        command: Python of its environment, `peer.py` and its arguments.
        most: Upper limit on its chunks, however many are requested; 0 for no limit.
    """

    name: str
    command: tuple[str, ...]
    most: int = 0
    runtime: ClassVar[str] = "torch"
    threads: ClassVar[int] = 1

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Start its process, which ends with the context.

        Raises:
            DeviceError: If it does not start.
        """
        pipe = subprocess.PIPE
        with (
            TemporaryFile() as errors,
            subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=errors) as process,
        ):
            try:
                yield _PeerWorker(self.name, process, errors)
            finally:
                process.kill()


class _BundleWorker:
    def __init__(self, connection: Any, started: Started) -> None:
        self._connection, self.started = connection, started

    def turn(self, chunks: int) -> Turn:
        self._connection.send(chunks)
        return _answer(self._connection)


class _PeerWorker:
    def __init__(self, name: str, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._name, self._process, self._errors = name, process, errors
        ready = self._line()
        with refusing(DeviceError, name):
            self.started = Started(float(ready["seconds"]), parameters=int(ready["parameters"]))

    def turn(self, chunks: int) -> Turn:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended; `_line` raises with the reason
            self._process.stdin.write(b"%d\n" % chunks)
            self._process.stdin.flush()
        with refusing(DeviceError, self._name):
            return Turn([{"total": float(seconds)} for seconds in self._line()])

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise DeviceError(
                f"{self._name} ended: {said[-1] if said else 'it said nothing'}; make its"
                " environment again: bench/peers/environment.sh"
            )
        with refusing(DeviceError, self._name):
            return json.loads(line)


def _answer(connection: Any) -> Any:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise DeviceError("a process that runs a policy ended; see above") from error
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def _blas_threads(count: int) -> Iterator[None]:
    """Set the number of BLAS threads of a process that is started in this context."""
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


def _work(case: BundleCase, parent: Connection) -> None:
    """Load a policy, then run as many chunks as the parent requests, until it closes the pipe."""
    end_worker_with_parent()
    cv2.setNumThreads(case.threads)
    begin_s, begin_mb = time.perf_counter(), _memory_mb()
    try:
        bundle = load_bundle(case.bundle)
        task = bundle.manifest.tasks[0]
        runtime = choose_runtime(case.runtime, case.threads).runtime
        policy = load_policy(case.bundle, task, time.monotonic_ns, runtime=runtime)
        seconds, memory_mb = time.perf_counter() - begin_s, _memory_mb() - begin_mb
        made = bundle.manifest.made
        parent.send(Started(seconds, memory_mb, _count(made.get("parameters")), _gflop(made)))
        rng = np.random.default_rng(0)
        seen = [_observation(policy.spec, bundle.golden()["state"][0], rng)]
        while True:
            stages = [policy.infer(seen).stages for _ in range(parent.recv())]
            named = [{**stage, "total": sum(stage.values())} for stage in stages]
            parent.send(Turn(named, _peak_gflop_s()))
    except EOFError:
        return
    except (CarpError, ValueError) as error:  # raised again in the parent
        parent.send(error)
    except Exception as error:
        parent.send(DeviceError(f"{case.name} by {case.runtime}: {in_words(error)}"))


def _observation(spec: PolicySpec, state: Array, rng: np.random.Generator) -> Observation:
    """Return an observation with a known state and images of noise."""
    images = {c: rng.integers(0, 256, (*_CAMERA_PX, 3), np.uint8) for c in spec.cameras}
    stamps_ns = dict.fromkeys(images, 0)
    tool, gripper, joints = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 0.0, np.zeros(6)
    numbers = wrench = None
    if spec.state.kind == "tool":
        tool, gripper = tcp_pose_from_vector(state)
        wrench = state[len(TOOL) :] if spec.state.has_wrench else None
    elif spec.state.kind == "joints":
        joints, gripper = state[:-1], float(state[-1])
    else:
        numbers = state
    return Observation(0, images, stamps_ns, tool, gripper, joints, numbers, wrench)


def _gflop(made: Mapping[str, Any]) -> float | None:
    """Return the operations of a chunk from a manifest's free-form section, which may be wrong."""
    flops = made.get("flops")
    counts = [_count(count) for count in flops.values()] if isinstance(flops, dict) else []
    return None if None in counts or not counts else 1e-9 * sum(filter(None, counts))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**63 else None


def _peak_gflop_s() -> float:
    """Measure the current peak rate of large float32 matrix products."""
    a = np.ones((_PRODUCT, _PRODUCT), np.float32)
    times_s = []
    for _ in range(_PRODUCTS):
        begin_s = time.perf_counter()
        np.matmul(a, a)
        times_s.append(time.perf_counter() - begin_s)
    return 2e-9 * _PRODUCT**3 / min(times_s)


def _memory_mb() -> float:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return 1e-6 * pages * os.sysconf("SC_PAGE_SIZE")
