"""Runs independent jobs in separate processes; a failing or dying process costs only its job."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from carp_ros.errors import CarpError
from carp_ros.processes.parent import end_worker_with_parent
from carp_ros.refusal import in_words

Job = TypeVar("Job")
Result = TypeVar("Result")

_ENDING_S = 2.0
_MOST_DEATHS = 3  # in a row without a result; the next process would die, too

Open = Callable[[], Callable[[Job], Result]]
"""Called once in each process; returns the function that does a job there. Must be picklable."""


@dataclass(frozen=True)
class LostJob(Generic[Job]):
    """A job without a result, and why."""

    job: Job
    reason: str


def each_in_process(
    open_worker: Open[Job, Result], jobs: Iterable[Job], workers: int
) -> Iterator[Result | LostJob[Job]]:
    """Yield the result of each job as it ends, in any order.

    Ctrl-C interrupts only this process; the workers end silently when the iterator is closed.

    Args:
        open_worker: Called in each process; returns the function that does a job.
        jobs: The jobs, each done once.
        workers: Number of processes.

    Raises:
        ValueError: If no process can start, with its error, or several died in a row.
    """
    waiting = iter(jobs)
    with _Workers(open_worker) as running:
        for _ in range(workers):
            running.start()
        deaths = 0
        for worker in running.ready():
            message = worker.received()
            if message is None:
                deaths += 1
                reason = f"its process ended: {worker.ending()}"
                if worker.jobs:
                    yield LostJob(worker.jobs.pop(), reason)
                if deaths >= _MOST_DEATHS:
                    raise ValueError(f"{deaths} times in a row without a result: {reason}")
                running.start()
                continue
            kind, content = message
            if kind == "refused":
                raise ValueError(content)
            if worker.jobs:
                job = worker.jobs.pop()
                deaths = 0
                yield content if kind == "done" else LostJob(job, content)
            worker.give(waiting)


@dataclass
class _Worker:
    process: Any
    connection: Any
    jobs: list[Any] = field(default_factory=list)
    """The current job, if any."""

    def received(self) -> tuple[str, Any] | None:
        """Return the process's message; None if it has died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def give(self, waiting: Iterator[Any]) -> None:
        """Send the process the next job, or end it if there is none."""
        for job in waiting:
            self.jobs.append(job)
            with contextlib.suppress(OSError):  # it died: `received` will notice
                self.connection.send((job,))
            return
        self.connection.close()

    def ending(self) -> str:
        """Return how the process ended."""
        self.connection.close()
        self.process.join(_ENDING_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            return signal.strsignal(-code) or f"signal {-code}"
        return f"exit code {code}"


class _Workers:
    """Worker processes, killed when the block ends."""

    def __init__(self, open_worker: Open[Any, Any]) -> None:
        # Spawned, not forked: OpenGL and the parent's threads do not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._open = open_worker
        self._all: list[_Worker] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.process.kill()
        for worker in self._all:  # closed before it is dead, it would print a broken pipe
            worker.process.join(_ENDING_S)
            worker.connection.close()

    def start(self) -> None:
        """Start one more process."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._open, theirs), daemon=True)
        resource_tracker.ensure_running()  # started along with a process, it would unblock SIGINT
        # a terminal's Ctrl-C reaches all processes; a child inherits the block from the start
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._all.append(_Worker(process, ours))

    def ready(self) -> Iterator[_Worker]:
        """Yield each worker that has sent a message or has died, until none is left."""
        while open_ones := {w.connection: w for w in self._all if not w.connection.closed}:
            for connection in wait(list(open_ones)):
                worker = open_ones[connection]
                yield worker


def _work(open_worker: Open[Any, Any], parent: Connection) -> None:
    end_worker_with_parent()
    try:
        do = open_worker()
    except Exception as error:  # no other process could start either
        parent.send(("refused", _said(error)))
        return
    parent.send(("ready", None))
    while True:
        try:
            (job,) = parent.recv()
        except (EOFError, OSError):
            return
        try:
            message = ("done", do(job))
        except Exception as error:
            message = ("lost", _said(error))
        parent.send(message)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, (CarpError, ValueError)) else in_words(error)
