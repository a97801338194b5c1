"""Which core a simulated cell's real-time processes use, on a machine with few of them.

The emulated controller and the servo wake 500 to 1000 times a second. On two cores, each time they
would interrupt an image that is being drawn, and it would come too late although a third of the
machine is idle. So the controller runs on the last core, with a servo that sleeps while it waits
for it, and the images are drawn on the others; the scheduler places everything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

_FEW = 3  # with more cores the scheduler keeps them apart by itself
_ALL = "CARP_CORES"  # of the system, for a process that uses some of them and for those it starts


def take_realtime_core() -> None:
    """Restrict this thread, and those that it starts, to the last core."""
    cores = _all_cores()
    if 1 < len(cores) <= _FEW:
        _restrict([0], {max(cores)})


def leave_realtime_core() -> None:
    """Restrict this thread, and those that it starts, to the other cores."""
    cores = _all_cores()
    if 1 < len(cores) <= _FEW:
        _restrict([0], cores - {max(cores)})


def settle_threads() -> None:
    """Restrict this process's real-time threads to the last core; let the others run anywhere.

    On the last core, those that receive the robot's states would come last.
    """
    cores = _all_cores()
    if not 1 < len(cores) <= _FEW:
        return
    threads = {thread: _is_realtime(thread) for thread in _threads()}
    _restrict([thread for thread, realtime in threads.items() if realtime], {max(cores)})
    _restrict([thread for thread, realtime in threads.items() if not realtime], cores)


def _all_cores() -> set[int]:
    given = os.environ.get(_ALL, "").split()
    cores = {int(core) for core in given if core.isdecimal()} or os.sched_getaffinity(0)
    os.environ[_ALL] = " ".join(map(str, sorted(cores)))
    return cores


def _threads() -> list[int]:
    return [int(thread) for thread in os.listdir("/proc/self/task")]


def _restrict(threads: Iterable[int], cores: set[int]) -> None:
    for thread in threads:
        with suppress(OSError):  # it has ended, or a container took those cores away
            os.sched_setaffinity(thread, cores)


def _is_realtime(thread: int) -> bool:
    try:
        return os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR)
    except OSError:  # it has ended
        return False
