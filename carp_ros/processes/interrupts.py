"""Handles Ctrl-C: a second one cannot interrupt the clean-up; a child may still be starting."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UNWIND_S = 1.0  # longer than it takes from an interrupt to the start of the clean-up


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold SIGINT back from processes started in the block, until they `take_held_interrupts`.

    Otherwise Python raises KeyboardInterrupt in the middle of the imports with which they begin.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_held_interrupts() -> None:
    """Let SIGINT through, now that it is handled; one that was held back arrives at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Interrupts:
    """Lets the first interrupt through; later ones only set `hurry`.

    Works in the main thread; signals do not arrive in other threads anyway.

    Attributes:
        hurry: Whether there was more than one interrupt.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._previous: dict[int, Any] = {}
        self._let_through_s: float | None = None
        self._leaving = False
        self.hurry = False

    def attend(self) -> None:
        """Install this object in front of the existing signal handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _NUMBERS:
            previous = signal.getsignal(number)
            if callable(previous):  # leave ignored signals and default actions alone
                self._previous[number] = previous
                signal.signal(number, self.take)

    def leave(self) -> None:
        """Let no interrupt through from now on: the clean-up has begun."""
        self._leaving = True

    def release(self) -> None:
        """Restore the previous signal handlers."""
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    def take(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        now_s = self._clock()
        unwinding = self._let_through_s is not None and now_s - self._let_through_s < _UNWIND_S
        if self._leaving or unwinding:
            self.hurry = True
            return
        self._let_through_s = now_s
        self._previous[number](number, frame)
