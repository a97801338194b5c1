"""Real-time loops: scheduling priority, absolute deadlines and wake-up latency.

The only module in this folder that reads a clock. A Python loop keeps 500 Hz if it runs in its own
process, sleeps until absolute deadlines (never for durations, never spinning) and, where the system
permits, has a real-time priority and locked memory.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carp_ros.errors import DeviceError

_LOCK_CURRENT_AND_FUTURE = 3  # MCL_CURRENT | MCL_FUTURE
_SET_TIMER_SLACK = 29  # PR_SET_TIMERSLACK: sleeps end up to 50 us late without it
_LEAST_SLACK_NS = 1
_PATH_PRIORITY = 10  # below the servo's, above everything that is not in real time
_POLL_SLACK_NS = 700_000  # a third of the time between two messages of a robot at 500 Hz


@dataclass(frozen=True)
class RealtimeGrant:
    """What the system granted: SCHED_FIFO `priority` (0 for none) and whether memory is locked.

    `advice` says how to obtain what was denied; empty if nothing was.
    """

    priority: int
    memory_locked: bool
    advice: str


def request_realtime(priority: int, cpu: int, *, required: bool) -> RealtimeGrant:
    """Request a real-time priority for this process and prepare its interpreter for a tight loop.

    Garbage collection is switched off: a loop that creates no reference cycles does not need it.

    Args:
        priority: SCHED_FIFO priority, 1 to 99; 0 for none.
        cpu: Core to pin this process to; -1 for any.
        required: Fail if the priority is denied, instead of going on without it.

    Raises:
        DeviceError: If `required` and the system denies the priority, or if `cpu` is not available.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_TIMER_SLACK, _LEAST_SLACK_NS, 0, 0, 0)
    gc.collect()
    gc.freeze()
    gc.disable()
    if cpu >= 0:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError as error:
            raise DeviceError(
                f"servo.cpu is {cpu}; this process may run on the cores"
                f" {sorted(os.sched_getaffinity(0))}: choose one of those, or -1"
            ) from error
    granted, advice = 0, ""
    if priority == 0:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # the parent's is inherited
    else:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            granted = priority
        except PermissionError:
            advice = (
                f"no permission for SCHED_FIFO priority {priority}: put '@realtime - rtprio 99' and"
                " '@realtime - memlock unlimited' into /etc/security/limits.d/realtime.conf, add"
                " this user to the group realtime and log in again (doc/hardware_setup.md)"
            )
            if required:
                raise DeviceError(f"{advice}; or set servo.require_realtime: false") from None
    locked = granted > 0 and libc.mlockall(_LOCK_CURRENT_AND_FUTURE) == 0
    if granted and not locked:
        advice = "memory could not be locked: allow 'memlock unlimited' in limits.d"
    return RealtimeGrant(granted, locked, advice)


@contextmanager
def starting_pollers() -> Iterator[None]:
    """Let threads started within this context oversleep by up to 0.7 ms.

    For the polling threads of a client library: ur-rtde has two, which poll every 100 us. With the
    real-time priority and exact wake-ups of this process they would take a third of a core and
    evict everyone's caches 11 000 times a second. They get the highest ordinary priority (nice -20)
    but no real-time priority, because Linux ignores timer slack for real-time threads.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    libc.prctl(_SET_TIMER_SLACK, _POLL_SLACK_NS, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SET_TIMER_SLACK, _LEAST_SLACK_NS, 0, 0, 0)
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        os.sched_setscheduler(0, policy, parameters)


def prefer_process(niceness: int = -10) -> bool:
    """Raise this process above ordinary priority if permitted, and return whether it was.

    For nodes that other work on the machine must not delay: one whose silence stops the arm, or one
    that loses data it does not take in time. It gets no real-time priority: Linux stops all
    real-time work on a core for up to 50 ms once it has used 95 % of a second there, and the servo
    needs that budget. Threads started afterwards inherit the priority.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except PermissionError:
        return False
    return True


def prefer_path_of_commands() -> bool:
    """Give this process a low real-time priority if permitted, and return whether it was.

    For a node through which every command to the arm passes: it must run whenever the servo does.
    It needs little of the time that Linux grants to real-time work. Threads started afterwards
    inherit the priority. Without permission, it is preferred as other nodes are.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PATH_PRIORITY))
    except PermissionError:
        prefer_process()
        return False
    return True


class Lateness:
    """Histogram of wake-up latency in bins of 5 us up to 5 ms; the last bin holds all above."""

    BIN_NS = 5_000
    BINS = 1_000

    def __init__(self) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros(self.BINS + 1, np.int64)
        self.worst_ns = 0

    def add(self, late_ns: int) -> None:
        """Count one tick that woke `late_ns` after its deadline."""
        self.counts[min(late_ns // self.BIN_NS, self.BINS)] += 1
        self.worst_ns = max(self.worst_ns, late_ns)


def count_later_than(counts: npt.NDArray[np.int64], limit_ns: int) -> int:
    """Return how many ticks of a `Lateness.counts` were later than `limit_ns`."""
    return int(counts[limit_ns // Lateness.BIN_NS :].sum())


def lateness_quantile_s(counts: npt.NDArray[np.int64], quantile: float) -> float:
    """Return the given quantile (0 to 1) of the wake-up latency in [s]."""
    total = int(counts.sum())
    if total == 0:
        return 0.0
    bin_index = int(np.searchsorted(np.cumsum(counts), quantile * total))
    return (bin_index + 1) * Lateness.BIN_NS * 1e-9


class Metronome:
    """Yields at absolute deadlines, one every `period_s` from the start of iteration.

    A loop that falls behind by whole periods skips those ticks instead of running them in a burst.

    Args:
        period_s: Time between deadlines in [s].
    """

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self.lateness = Lateness()
        self.skipped = 0

    def __iter__(self) -> Iterator[int]:
        """Yield `time.monotonic_ns()` at each deadline."""
        deadline_ns = time.monotonic_ns() + self._period_ns
        while True:
            remaining_ns = deadline_ns - time.monotonic_ns()
            if remaining_ns > 0:
                time.sleep(remaining_ns * 1e-9)
            now_ns = time.monotonic_ns()
            late_ns = max(0, now_ns - deadline_ns)
            self.lateness.add(late_ns)
            yield now_ns
            missed = late_ns // self._period_ns
            self.skipped += missed
            deadline_ns += (missed + 1) * self._period_ns
