"""Brings the two halves of one thing together that travel apart, whichever comes first."""

from __future__ import annotations

from typing import Generic, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


class Pairing(Generic[First, Second]):
    """Waits for the other half of what came, for a while, and for a few at a time.

    Args:
        names: What the two halves are called, for the refusals.
        wait_s: How long a half waits.
        most: How many of each kind wait.
    """

    def __init__(self, names: tuple[str, str], wait_s: float = 0.25, most: int = 4) -> None:
        self._names = names
        self._wait_ns = round(wait_s * 1e9)
        self._most = most
        self._first: dict[int, tuple[int, First]] = {}  # by stamp: when it came, and what
        self._second: dict[int, tuple[int, Second]] = {}

    def take_first(self, stamp_ns: int, half: First, now_ns: int) -> tuple[First, Second] | None:
        """Take a first half; return the pair if its second is here already."""
        waiting = self._second.pop(stamp_ns, None)
        if waiting is not None:
            return half, waiting[1]
        self._first[stamp_ns] = (now_ns, half)
        return None

    def take_second(self, stamp_ns: int, half: Second, now_ns: int) -> tuple[First, Second] | None:
        """Take a second half; return the pair if its first is here already."""
        waiting = self._first.pop(stamp_ns, None)
        if waiting is not None:
            return waiting[1], half
        self._second[stamp_ns] = (now_ns, half)
        return None

    def refused(self, now_ns: int) -> list[str]:
        """Forget the halves that waited too long or are too many; return why, one text each."""
        reasons = []
        for waiting, here, missing in (
            (self._first, *self._names),
            (self._second, *reversed(self._names)),
        ):
            for stamp_ns, (came_ns, _) in list(waiting.items()):
                waited_ns = now_ns - came_ns
                if waited_ns > self._wait_ns or len(waiting) > self._most:
                    del waiting[stamp_ns]
                    reasons.append(
                        f"{here} of stamp {stamp_ns} ns came without its {missing} for"
                        f" {waited_ns * 1e-9:.2f} s; expected both, with one stamp"
                    )
        return reasons
