"""What a process does when the one that started it dies, however that came about."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send a signal to this process when its parent dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def end_worker_with_parent() -> None:
    """Have the kernel kill this process of a pool when the pool's process dies.

    Left alone it would go on with what it has in hand, and then wait for ever.
    """
    end_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent and parent.pid != os.getppid():  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)
