"""Decides whether a process that ended is restarted after a pause or left down.

Used by both `carp up` and the launch files.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

EXIT_REFUSED = 1
"""Exit code of a process with wrong arguments or files, and of one that Python could not start:
restarting it would not help."""

EXIT_BROKEN = 70
"""Exit code of a process ended by a later error; EX_SOFTWARE of sysexits.h."""

PAUSES_S = (1.0, 2.0)
"""Pauses before the first and second restart in a row."""

STEADY_NS = 30_000_000_000
"""A run of this length ends a series of deaths in a row."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: `code` as in a shell, 128 plus the signal's number for a signal."""

    name: str
    code: int

    def __str__(self) -> str:
        """Describe it in words."""
        if self.code > 128:
            return f"{self.name} was ended by {signal.Signals(self.code - 128).name}"
        return f"{self.name} ended with exit code {self.code}"


def exit_of(name: str, returncode: int) -> Exit:
    """Return how a process ended; `returncode` as in Python, below 0 for a signal."""
    return Exit(name, returncode if returncode >= 0 else 128 - returncode)


@dataclass(frozen=True)
class RestartDecision:
    """What to do about the end of a process.

    Attributes:
        text: Description of the end and the decision.
        pause_s: Pause before the restart; None: no restart.
        fatal: Whether the whole system ends, too.
    """

    text: str
    pause_s: float | None = None
    fatal: bool = False


class Restarts:
    """Decides about one process.

    Args:
        name: Name of the process.
        essential: Whether the arm cannot be held safely without it.
    """

    def __init__(self, name: str, *, essential: bool) -> None:
        self._name = name
        self._essential = essential
        self._lives = 0
        self._deaths = 0  # in a row
        self._started_ns = 0

    def started(self, now_ns: int) -> None:
        """Record that the process was started."""
        self._lives += 1
        self._started_ns = now_ns

    def ended(self, returncode: int, now_ns: int) -> RestartDecision:
        """Decide what to do about the end of the process.

        Args:
            returncode: Exit code as in Python, below 0 for a signal.
            now_ns: The time, on the clock of `started`.
        """
        end = exit_of(self._name, returncode)
        if self._essential:
            return RestartDecision(f"{end}; the system ends, because the arm needs it", fatal=True)
        if end.code == EXIT_REFUSED:
            # Fatal at the first start, when nothing is up yet; later the arm needs the other nodes.
            return RestartDecision(
                f"{end} and stays down; its output says why", fatal=self._lives == 1
            )
        if now_ns - self._started_ns >= STEADY_NS:
            self._deaths = 0
        self._deaths += 1
        if self._deaths > len(PAUSES_S):
            return RestartDecision(
                f"{end}, its death number {self._deaths} in a row, and stays down; the arm holds:"
                " fix what its output names, then restart the system"
            )
        pause_s = PAUSES_S[self._deaths - 1]
        return RestartDecision(
            f"{end}; the arm holds until it is enabled again. The process is restarted in"
            f" {pause_s:g} s",
            pause_s,
        )
