"""Single key presses from a terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def key_presses() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits up to a timeout in [s] for a key and returns it, or "" for none.

    The end of the input counts as `q`. Ctrl-C interrupts as usual.
    """
    descriptor = sys.stdin.fileno()

    def read(timeout_s: float) -> str:
        if not select.select([descriptor], [], [], timeout_s)[0]:
            return ""
        return os.read(descriptor, 1).decode(errors="replace") or "q"

    if not os.isatty(descriptor):
        yield read
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield read
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
