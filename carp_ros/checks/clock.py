"""Whether this machine's clock follows a reference, and by which program."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

from carp_ros.checks.probe import CheckResult
from carp_ros.checks.system_files import THIS_MACHINE, SystemFiles
from carp_ros.reports.check import CheckCode

_ERROR = 5  # TIME_ERROR of adjtimex(2): not synchronised
_PROGRAMS = {
    "chrony": "/run/chrony/chronyd.pid",
    "systemd-timesyncd": "/run/systemd/timesync/synchronized",
    "ntpd": "/run/ntpd.pid",
}
_SIZE = 208  # of struct timex


@dataclass(frozen=True)
class KernelClock:
    """What the kernel says of its clock.

    Attributes:
        state: The result of adjtimex(2); negative if it may not be asked.
        off_by_s: Its estimate of the largest error.
    """

    state: int
    off_by_s: float


def kernel_clock() -> KernelClock:
    """Ask the kernel, and change nothing."""
    timex = (ctypes.c_long * (_SIZE // ctypes.sizeof(ctypes.c_long)))()
    state = ctypes.CDLL(None).adjtimex(timex)
    return KernelClock(state, timex[3] * 1e-6)  # modes, offset, freq, maxerror [us]


@dataclass(frozen=True)
class ClockProbe:
    """Whether the clock is synchronised."""

    files: SystemFiles = THIS_MACHINE
    ask: Callable[[], KernelClock] = kernel_clock
    needed_for: str = "cameras or nodes on other machines"
    name: str = "clock"
    code: CheckCode = CheckCode.CLOCK_NOT_SYNCHRONISED

    def look(self) -> CheckResult:
        """Ask the kernel, and look for the programs that discipline it."""
        clock = self.ask()
        programs = [name for name, path in _PROGRAMS.items() if self.files.path(path).exists()]
        by = f" by {', '.join(programs)}" if programs else ""
        expected = "synchronised by one of " + ", ".join(_PROGRAMS)
        if clock.state < 0:
            remedy = "see what timedatectl or chronyc tracking says on the host"
            return CheckResult("the kernel does not tell", remedy, CheckCode.UNREADABLE, expected)
        if clock.state == _ERROR:
            remedy = (
                f"{programs[0]} runs, but has no reference yet: look at its servers"
                if programs
                else "apt-get install chrony, or systemctl enable --now systemd-timesyncd"
            )
            return CheckResult("not synchronised", remedy, self.code, expected)
        found = f"synchronised{by}, off by {clock.off_by_s * 1e3:.0f} ms at most"
        return CheckResult(found, expected=expected)
