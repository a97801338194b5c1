"""Matches two messages with the same stamp that arrive separately, in either order."""

from __future__ import annotations

from typing import Generic, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


class Pairing(Generic[First, Second]):
    """Holds a few unmatched halves for a limited time until their counterparts arrive.

    Args:
        names: Names of the two halves, for error texts.
        wait_s: How long a half is kept.
        most: How many halves of each kind are kept.
    """

    def __init__(self, names: tuple[str, str], wait_s: float = 0.25, most: int = 4) -> None:
        self._names = names
        self._wait_ns = round(wait_s * 1e9)
        self._most = most
        self._first: dict[int, tuple[int, First]] = {}  # by stamp: arrival time, half
        self._second: dict[int, tuple[int, Second]] = {}

    def take_first(self, stamp_ns: int, half: First, now_ns: int) -> tuple[First, Second] | None:
        """Take a first half; return the pair if its second half has already arrived."""
        waiting = self._second.pop(stamp_ns, None)
        if waiting is not None:
            return half, waiting[1]
        self._first[stamp_ns] = (now_ns, half)
        return None

    def take_second(self, stamp_ns: int, half: Second, now_ns: int) -> tuple[First, Second] | None:
        """Take a second half; return the pair if its first half has already arrived."""
        waiting = self._first.pop(stamp_ns, None)
        if waiting is not None:
            return waiting[1], half
        self._second[stamp_ns] = (now_ns, half)
        return None

    def refused(self, now_ns: int) -> list[str]:
        """Drop halves that waited too long or exceed `most`; return one reason for each."""
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
                        f"{here} of stamp {stamp_ns} ns arrived without its {missing} for"
                        f" {waited_ns * 1e-9:.2f} s; expected both, with one stamp"
                    )
        return reasons
