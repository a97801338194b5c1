"""What the servo needs of the kernel: real-time scheduling, permission for it, full clock speed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from carp_ros.checks.probe import CheckResult
from carp_ros.checks.system_files import THIS_MACHINE, SystemFiles, content_of, unreadable
from carp_ros.reports.check import CheckCode

_HIGHEST = 99  # of SCHED_FIFO; libfranka asks for it
_SYS_NICE, _IPC_LOCK = 23, 14  # of capabilities(7)
_PERMIT = "as doc/hardware_setup.md, Real-time priority, shows; then log out and in again"


@dataclass(frozen=True)
class KernelProbe:
    """Whether the kernel is a real-time one (PREEMPT_RT)."""

    files: SystemFiles = THIS_MACHINE
    needed_for: str = ""
    name: str = "kernel"
    code: CheckCode = CheckCode.KERNEL_NOT_REALTIME

    def look(self) -> CheckResult:
        """Read what the kernel says of itself."""
        version = self.files.text("/proc/version")
        if not version:
            return unreadable("/proc/version can't be read", "mount /proc")
        release = self.files.text("/proc/sys/kernel/osrelease") or version.split(" (")[0]
        expected = "a kernel with PREEMPT_RT"
        marked = self.files.text("/sys/kernel/realtime") == "1"
        if marked or re.search(r"\bPREEMPT[_ ]RT\b", version):
            return CheckResult(f"{release}, PREEMPT_RT", expected=expected)
        return CheckResult(
            f"{release}, without PREEMPT_RT",
            "Ubuntu: pro enable realtime-kernel; Debian: apt-get install linux-image-rt-amd64; then"
            " restart the machine with it",
            self.code,
            expected,
        )


@dataclass(frozen=True)
class RtprioProbe:
    """Whether this user may ask for the priority that the servo, or the arm's library, asks for.

    Attributes:
        least: The priority.
    """

    least: int
    files: SystemFiles = THIS_MACHINE
    needed_for: str = ""
    name: str = "rtprio"
    code: CheckCode = CheckCode.RTPRIO_LOW

    def look(self) -> CheckResult:
        """Read this process's limit and capabilities."""
        soft = _limit(self.files, "Max realtime priority")
        expected = f"{self.least} or more"
        if _may(self.files, _SYS_NICE):
            return CheckResult("any, by CAP_SYS_NICE", expected=expected)
        if not soft:
            return unreadable("/proc/self/limits does not tell", "mount /proc")
        if soft == "unlimited" or int(soft) >= self.least:
            return CheckResult(soft, expected=expected)
        remedy = f"permit rtprio {_HIGHEST} {_PERMIT}"
        return CheckResult(soft, remedy, self.code, expected)


@dataclass(frozen=True)
class MemlockProbe:
    """Whether this user may lock its memory, so that no page of the servo is swapped out."""

    files: SystemFiles = THIS_MACHINE
    needed_for: str = ""
    name: str = "memlock"
    code: CheckCode = CheckCode.MEMLOCK_LOW

    def look(self) -> CheckResult:
        """Read this process's limit and capabilities."""
        soft = _limit(self.files, "Max locked memory")
        expected = "unlimited"
        if _may(self.files, _IPC_LOCK):
            return CheckResult("unlimited, by CAP_IPC_LOCK", expected=expected)
        if not soft:
            return unreadable("/proc/self/limits does not tell", "mount /proc")
        if soft == "unlimited":
            return CheckResult(soft, expected=expected)
        remedy = f"permit memlock unlimited {_PERMIT}"
        return CheckResult(f"{int(soft) / 2**20:.0f} MiB", remedy, self.code, expected)


@dataclass(frozen=True)
class GovernorProbe:
    """Whether every core keeps its full clock speed."""

    files: SystemFiles = THIS_MACHINE
    needed_for: str = ""
    name: str = "CPU governor"
    code: CheckCode = CheckCode.GOVERNOR_SAVES_POWER

    def look(self) -> CheckResult:
        """Read each core's governor."""
        paths = self.files.matching("/sys/devices/system/cpu", "cpu[0-9]*/cpufreq/scaling_governor")
        names = Counter(filter(None, map(content_of, paths)))
        if not names:
            return unreadable(
                "this system tells none",
                "in a virtual machine or container: see to it on the host",
            )
        found = ", ".join(f"{name} on {count} cores" for name, count in sorted(names.items()))
        expected = "performance on every core"
        if set(names) == {"performance"}:
            return CheckResult(found, expected=expected)
        remedy = "cpupower frequency-set --governor performance (package linux-tools or cpupower)"
        return CheckResult(found, remedy, self.code, expected)


def _limit(files: SystemFiles, name: str) -> str:
    """Return this process's soft limit of that name, a number or `unlimited`; empty if unknown."""
    found = re.search(
        rf"^{name}\s+([0-9]{{1,20}}|unlimited)\s", files.text("/proc/self/limits"), re.MULTILINE
    )
    return found[1] if found else ""


def _may(files: SystemFiles, capability: int) -> bool:
    """Return whether this process has a capability, as root has."""
    found = re.search(r"^CapEff:\s*([0-9a-fA-F]+)$", files.text("/proc/self/status"), re.MULTILINE)
    return bool(found) and bool(int(found[1], 16) >> capability & 1)
