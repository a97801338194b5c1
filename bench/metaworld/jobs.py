"""The trainings of the benchmark by name, and several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.metaworld.demonstrations import TASKS

METHODS = ("carp", "regression")
ALL = "all"
SUBJECTS = (*TASKS, ALL)
SEEDS = (0, 1, 2)
TRAINED, EVALUATED, LATENCY = "trained.json", "evaluated.json", "latency.json"
_QUIET_S = 10.0  # between two lines of progress


@dataclass(frozen=True)
class Job:
    """One network, trained and evaluated.

    Attributes:
        method: One of `METHODS`.
        subject: The task that it learns, or `all`.
        seed: Of initial weights and order.
    """

    method: str
    subject: str
    seed: int

    @property
    def name(self) -> str:
        """As progress lines have it."""
        return f"{self.method} {self.subject} seed {self.seed}"

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it learns."""
        return TASKS if self.subject == ALL else (self.subject,)

    def folder(self, out: Path) -> Path:
        """Return where it is kept."""
        return out / self.method / self.subject / f"seed_{self.seed}"


def jobs_of(methods: Sequence[str], subjects: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """Return all jobs of some methods, subjects and seeds, seed by seed."""
    return [Job(m, s, seed) for seed in seeds for s in subjects for m in methods]


def run_processes(commands: Mapping[str, Sequence[str]], side_by_side: int) -> int:
    """Run `python -m bench.metaworld` once a command, each on one thread; return an exit code.

    Ctrl-C ends them all; each goes on where it was when it is run again.

    Args:
        commands: Arguments, by a name for people.
        side_by_side: How many run at once.
    """
    waiting, running, failed = list(commands.items()), {}, []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                name, arguments = waiting.pop(0)
                command = [sys.executable, "-m", "bench.metaworld", *arguments]
                running[name] = subprocess.Popen(command, env=environment)
            time.sleep(0.1)
            for name in [name for name, child in running.items() if child.poll() is not None]:
                if running.pop(name).returncode:
                    failed.append(name)
                    print(f"{name}: failed", file=sys.stderr, flush=True)
    finally:
        for child in running.values():
            child.terminate()
        for child in running.values():
            child.wait()
    if failed:
        print(f"{len(failed)} of {len(commands)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


class Lines:
    """Says now and then how far something is, one line each; several processes share a terminal.

    Args:
        name: Begins each line.
        unit: What is counted, in the plural.
    """

    def __init__(self, name: str, unit: str) -> None:
        self._name, self._unit = name, unit
        self._begin_s = self._shown_s = time.monotonic()
        self._first: int | None = None

    def show(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Say that `done` of `total` are done, and the latest figures."""
        now_s = time.monotonic()
        if self._first is None:  # what goes on counts from where it stopped
            self._first = done
        if done < total and now_s - self._shown_s < _QUIET_S:
            return
        self._shown_s = now_s
        rate = (done - self._first) / max(now_s - self._begin_s, 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
        shown = ("loss", "token_accuracy", "succeeded")
        notes = "".join(f", {n.replace('_', ' ')} {figures[n]:.4g}" for n in shown if n in figures)
        text = f"{self._name}: {done} of {total} {self._unit}, {rate:.1f} a second{left}{notes}"
        print(text, flush=True)
