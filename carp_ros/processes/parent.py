"""Ends a process when the process that started it dies, for whatever reason."""

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
"""Tells the control node to hold the arm because another process of its system has died. Processes
without a handler ignore it."""

_STARTED_BY = "CARP_STARTED_BY"
_LEAVE_S = 8.0  # nodes end within 5 s: the arm at standstill, the episode on disk
_SHELLS = ("bash", "dash", "fish", "ksh", "sh", "tcsh", "zsh")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def known_parent() -> dict[str, str]:
    """Return the environment variable that tells all descendants which process started them."""
    return {_STARTED_BY: str(os.getpid())}


def was_started_by_us() -> bool:
    """Return whether a process of this package started this one and will end it."""
    return os.environ.get(_STARTED_BY, "").isdecimal()


def end_with_starter(number: signal.Signals = signal.SIGINT) -> None:
    """Signal this process when the one that started it is gone; kill it if it does not end.

    The starter is the process named by `known_parent`, or else the parent: `ros2 run`, a launcher,
    a terminal's shell. A process started with `nohup` from a shell, or by systemd (which never
    dies), keeps running.

    Call it in the main thread once the signal has a handler. If the starter is already gone, the
    signal is sent at once.

    Args:
        number: Signal that ends this process.
    """
    starter = _starter()
    if starter is None:
        return
    try:
        descriptor = os.pidfd_open(starter)
    except ProcessLookupError:
        descriptor = None  # already gone
    except OSError:  # an old kernel, or a sandbox
        end_with_parent(number)
        return
    threading.Thread(target=_outlive, args=(descriptor, number), daemon=True).start()


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel signal this process when the thread that started it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def end_worker_with_parent() -> None:
    """Have the kernel kill this worker of a pool when the pool's process dies.

    Otherwise it would finish its current job and then wait for ever.
    """
    end_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent and parent.pid != os.getppid():  # it died before prctl was called
        os.kill(os.getpid(), signal.SIGKILL)


def _starter() -> int | None:
    """Return the process whose end must end this one; None if this one is independent."""
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
    """Wait for the end of the process behind a descriptor, then end this one."""
    if descriptor is not None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os.close(descriptor)
    os.kill(os.getpid(), number)
    time.sleep(_LEAVE_S)
    os.kill(os.getpid(), signal.SIGKILL)  # no other process is left to do it
