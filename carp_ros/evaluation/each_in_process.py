"""Independent jobs in processes of their own, of which one that fails or dies costs its job."""

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
_MOST_DEATHS = 3  # in a row, without a result: the next process would die, too

Open = Callable[[], Callable[[Job], Result]]
"""Called once in each process; returns what does a job there. Something that can be pickled."""


@dataclass(frozen=True)
class Lost(Generic[Job]):
    """A job that came to nothing, and why."""

    job: Job
    reason: str


def each_in_process(
    open_worker: Open[Job, Result], jobs: Iterable[Job], workers: int
) -> Iterator[Result | Lost[Job]]:
    """Yield what came of each job as it ends, in no order.

    Ctrl-C reaches this process alone; the others end, without a word, with the iteration.

    Args:
        open_worker: Makes what does a job.
        jobs: To do, each once.
        workers: Processes.

    Raises:
        ValueError: If no process can begin, with what was wrong there, or several died in a row.
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
                    yield Lost(worker.jobs.pop(), reason)
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
                yield content if kind == "done" else Lost(job, content)
            worker.give(waiting)


@dataclass
class _Worker:
    process: Any
    connection: Any
    jobs: list[Any] = field(default_factory=list)
    """The one that it does, if it does one."""

    def received(self) -> tuple[str, Any] | None:
        """Return what the process says; None if it is no more."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def give(self, waiting: Iterator[Any]) -> None:
        """Have the process do the next job, or end if there is none."""
        for job in waiting:
            self.jobs.append(job)
            with contextlib.suppress(OSError):  # it died: noticed when it is to be heard
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
    """Processes that are ended with the block."""

    def __init__(self, open_worker: Open[Any, Any]) -> None:
        # Spawned, not forked: OpenGL and threads of the parent do not survive a fork.
        self._context = multiprocessing.get_context("spawn")
        self._open = open_worker
        self._all: list[_Worker] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.process.kill()
        for worker in self._all:  # closed earlier, it would complain that nobody hears it
            worker.process.join(_ENDING_S)
            worker.connection.close()

    def start(self) -> None:
        """Start one more."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._open, theirs), daemon=True)
        resource_tracker.ensure_running()  # with the first process, it would unblock the signal
        # a terminal's Ctrl-C goes to all of them; inherited, this keeps it from its first line on
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._all.append(_Worker(process, ours))

    def ready(self) -> Iterator[_Worker]:
        """Yield each that has something to say, or is no more, until none is left."""
        while open_ones := {w.connection: w for w in self._all if not w.connection.closed}:
            for connection in wait(list(open_ones)):
                worker = open_ones[connection]
                yield worker


def _work(open_worker: Open[Any, Any], parent: Connection) -> None:
    end_worker_with_parent()
    try:
        do = open_worker()
    except Exception as error:  # no process could begin
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
