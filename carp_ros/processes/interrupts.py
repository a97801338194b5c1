"""Ctrl-C, also when it comes twice: it asks for the end, and can not cut the end short."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UNWIND_S = 1.0  # more than it takes from an interrupt to the clean-up that it calls for


class Interrupts:
    """Lets the first interrupt through, and turns those that follow it into haste.

    Works in the main thread; elsewhere signals do not arrive anyway.

    Attributes:
        hurry: Whether it was asked for the end more than once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._previous: dict[int, Any] = {}
        self._let_through_s: float | None = None
        self._leaving = False
        self.hurry = False

    def attend(self) -> None:
        """Begin to stand between the interrupts and what they did so far."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _NUMBERS:
            previous = signal.getsignal(number)
            if callable(previous):  # one that is ignored, or kills, is not ours to change
                self._previous[number] = previous
                signal.signal(number, self.take)

    def leave(self) -> None:
        """Let none through from here on: the clean-up has begun."""
        self._leaving = True

    def release(self) -> None:
        """Give the interrupts back to whom they were."""
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
