"""What becomes of a process that ended: started again after a pause, or left down.

`carp up` and the launch files both decide by this.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

EXIT_REFUSED = 1
"""Of a process that was given something wrong, and of one that Python could not even begin: started
again it would end again."""

EXIT_BROKEN = 70
"""Of a process that an error ended later on; EX_SOFTWARE of sysexits.h."""

PAUSES_S = (1.0, 2.0)
"""Before the first and the second of the starts that follow deaths in a row."""

STEADY_NS = 30_000_000_000
"""A process that ran this long did not die in a row."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: `code` as a shell gives it, 128 and more for a signal."""

    name: str
    code: int

    def __str__(self) -> str:
        """Say it in words."""
        if self.code > 128:
            return f"{self.name} was ended by {signal.Signals(self.code - 128).name}"
        return f"{self.name} ended with exit code {self.code}"


def exit_of(name: str, returncode: int) -> Exit:
    """Return how a process ended; `returncode` as Python gives it, below 0 for a signal."""
    return Exit(name, returncode if returncode >= 0 else 128 - returncode)


@dataclass(frozen=True)
class RestartDecision:
    """What to do about the end of a process.

    Attributes:
        text: It, and the end, for people.
        pause_s: Until it is started again; None: never.
        fatal: Whether the system ends with it.
    """

    text: str
    pause_s: float | None = None
    fatal: bool = False


class Restarts:
    """Decides about one process.

    Args:
        name: Its name.
        essential: Whether the arm can not stand safely without it.
    """

    def __init__(self, name: str, *, essential: bool) -> None:
        self._name = name
        self._essential = essential
        self._lives = 0
        self._deaths = 0  # in a row
        self._started_ns = 0

    def started(self, now_ns: int) -> None:
        """Take note that it was started."""
        self._lives += 1
        self._started_ns = now_ns

    def ended(self, returncode: int, now_ns: int) -> RestartDecision:
        """Decide what becomes of it.

        Args:
            returncode: As Python gives it: below 0 for a signal.
            now_ns: On the clock of `started`.
        """
        end = exit_of(self._name, returncode)
        if self._essential:
            return RestartDecision(f"{end}; the system ends, for the arm needs it", fatal=True)
        if end.code == EXIT_REFUSED:
            # The first time nothing was up yet; later on the arm needs what still runs.
            return RestartDecision(
                f"{end} and stays down; its output says why", fatal=self._lives == 1
            )
        if now_ns - self._started_ns >= STEADY_NS:
            self._deaths = 0
        self._deaths += 1
        if self._deaths > len(PAUSES_S):
            return RestartDecision(
                f"{end}, its death number {self._deaths} in a row, and stays down; the arm holds:"
                " mend what its output names, then start the system anew"
            )
        pause_s = PAUSES_S[self._deaths - 1]
        return RestartDecision(
            f"{end}; the arm holds until it is enabled again. The process is started again in"
            f" {pause_s:g} s",
            pause_s,
        )
