"""What a process does when the one that started it dies, however that came about."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import select
import signal
import threading
import time
from pathlib import Path

HOLD = signal.SIGURG
"""Asks the control node to hold the arm, for another process of its system has died. Whoever does
not know it ignores it."""

_STARTED_BY = "CARP_STARTED_BY"
_LEAVE_S = 8.0  # nodes end within 5 s: the arm at standstill, the episode on disk
_SHELLS = ("bash", "dash", "fish", "ksh", "sh", "tcsh", "zsh")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def known_parent() -> dict[str, str]:
    """Return the environment variable that tells a child, whatever lies between, who started it."""
    return {_STARTED_BY: str(os.getpid())}


def was_started_by_us() -> bool:
    """Tell whether a process of this package started this one, and sees to its end."""
    return os.environ.get(_STARTED_BY, "").isdecimal()


def end_with_starter(number: signal.Signals = signal.SIGINT) -> None:
    """Signal this process when the one that started it is gone; kill it if that is not enough.

    The starter is the process that `known_parent` names, else the parent: `ros2 run`, a launcher, a
    terminal's shell. Whoever started this with `nohup` from a shell wants it to go on, and so does
    systemd, which does not die.

    Call it in the main thread once the signal is handled. What is late is not lost: the signal of a
    starter that is already gone comes at once.

    Args:
        number: The signal that asks this process to end.
    """
    starter = _starter()
    if starter is None:
        return
    try:
        descriptor = os.pidfd_open(starter)
    except ProcessLookupError:
        descriptor = None  # gone before we looked
    except OSError:  # an old kernel, or a sandbox
        end_with_parent(number)
        return
    threading.Thread(target=_outlive, args=(descriptor, number), daemon=True).start()


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send a signal to this process when its parent's thread dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def end_worker_with_parent() -> None:
    """Have the kernel kill this process of a pool when the pool's process dies.

    Left alone it would go on with what it has in hand, and then wait for ever.
    """
    end_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent and parent.pid != os.getppid():  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def _starter() -> int | None:
    """Return whose end is the end of this process; None if it has a life of its own."""
    if was_started_by_us():
        return int(os.environ[_STARTED_BY])
    parent = os.getppid()
    if parent <= 1:
        return None
    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return None if ignores_hangup and _command(parent) in _SHELLS else parent


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""


def _outlive(descriptor: int | None, number: signal.Signals) -> None:
    """Wait for the end of the process behind a descriptor, then see to ours."""
    if descriptor is not None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os.close(descriptor)
    os.kill(os.getpid(), number)
    time.sleep(_LEAVE_S)
    os.kill(os.getpid(), signal.SIGKILL)  # nobody else is left to do it
