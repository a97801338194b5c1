"""Tests for checks/realtime.py, each probe with a /proc and a /sys of the test's own."""

import pytest

from carp_ros.checks.probe import line_of
from carp_ros.checks.realtime import GovernorProbe, KernelProbe, MemlockProbe, RtprioProbe
from carp_ros.checks.system_files import SystemFiles
from carp_ros.reports.check import CheckCode, Verdict

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max locked memory         {memlock:<20} unlimited            bytes
Max realtime priority     {rtprio:<20} 99
"""
RT = "Linux version 6.8.1-1015-realtime (buildd@lcy02) (gcc 13.2) #16 SMP PREEMPT_RT Thu"
PLAIN = "Linux version 6.8.0-45-generic (buildd@lcy02) (gcc 13.2) #45 SMP PREEMPT_DYNAMIC Fri"


@pytest.fixture
def machine(tmp_path):
    """Write files below a root, by name, and return the root."""

    def write(**files: str) -> SystemFiles:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return SystemFiles(tmp_path)

    return write


def code_of(probe):
    return line_of(probe).code


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"proc__version": RT}, CheckCode.OK),
        ({"proc__version": PLAIN, "sys__kernel__realtime": "1\n"}, CheckCode.OK),
        ({"proc__version": PLAIN}, CheckCode.KERNEL_NOT_REALTIME),
        ({"proc__version": PLAIN, "sys__kernel__realtime": "0\n"}, CheckCode.KERNEL_NOT_REALTIME),
        ({}, CheckCode.UNREADABLE),
    ],
)
def test_a_kernel_is_a_real_time_one_or_not(files, code, machine):
    assert code_of(KernelProbe(machine(**files))) is code


def test_the_kernel_s_release_is_the_value(machine):
    files = machine(proc__version=PLAIN, proc__sys__kernel__osrelease="6.8.0-45-generic\n")
    line = line_of(KernelProbe(files))
    assert line.value == "6.8.0-45-generic, without PREEMPT_RT"
    assert "PREEMPT_RT" in line.expected


@pytest.mark.parametrize(
    ("rtprio", "capabilities", "code"),
    [
        ("95", "0" * 16, CheckCode.OK),
        ("unlimited", "0" * 16, CheckCode.OK),
        ("0", "000001ffffffffff", CheckCode.OK),  # root
        ("0", "0" * 16, CheckCode.RTPRIO_LOW),
        ("39", "0" * 16, CheckCode.RTPRIO_LOW),
    ],
)
def test_a_priority_is_permitted_by_the_limit_or_by_a_capability(
    rtprio, capabilities, code, machine
):
    files = machine(
        proc__self__limits=LIMITS.format(memlock=8192, rtprio=rtprio),
        proc__self__status=f"Name:\tcarp\nCapEff:\t{capabilities}\n",
    )
    line = line_of(RtprioProbe(40, files))
    assert line.code is code
    assert line.expected == "40 or more"


def test_the_remedy_permits_what_the_arm_s_library_needs(machine):
    files = machine(proc__self__limits=LIMITS.format(memlock=8192, rtprio=95))
    assert "rtprio 99" in line_of(RtprioProbe(99, files)).remedy


@pytest.mark.parametrize(
    ("memlock", "capabilities", "code"),
    [
        ("unlimited", "0" * 16, CheckCode.OK),
        ("8388608", "0000000000004000", CheckCode.OK),  # CAP_IPC_LOCK
        ("8388608", "0" * 16, CheckCode.MEMLOCK_LOW),
    ],
)
def test_memory_may_be_locked_by_the_limit_or_by_a_capability(memlock, capabilities, code, machine):
    files = machine(
        proc__self__limits=LIMITS.format(memlock=memlock, rtprio=0),
        proc__self__status=f"CapEff:\t{capabilities}\n",
    )
    assert code_of(MemlockProbe(files)) is code


@pytest.mark.parametrize("probe", [RtprioProbe(40, SystemFiles()), MemlockProbe(SystemFiles())])
def test_without_proc_no_limit_is_known(probe, tmp_path):
    made = type(probe)(40, SystemFiles(tmp_path)) if isinstance(probe, RtprioProbe) else None
    assert code_of(made or MemlockProbe(SystemFiles(tmp_path))) is CheckCode.UNREADABLE


@pytest.mark.parametrize(
    ("governors", "code"),
    [
        (("performance", "performance"), CheckCode.OK),
        (("performance", "powersave"), CheckCode.GOVERNOR_SAVES_POWER),
        ((), CheckCode.UNREADABLE),
    ],
)
def test_every_core_must_keep_its_speed(governors, code, machine):
    cpu = "sys__devices__system__cpu__cpu{}__cpufreq__scaling_governor"
    files = machine(**{cpu.format(i): f"{name}\n" for i, name in enumerate(governors)})
    assert code_of(GovernorProbe(files)) is code


def test_the_governors_are_counted(machine):
    cpu = "sys__devices__system__cpu__cpu{}__cpufreq__scaling_governor"
    files = machine(**{cpu.format(i): "powersave\n" for i in range(3)})
    line = line_of(GovernorProbe(files))
    assert line.value == "powersave on 3 cores"
    assert line.verdict is Verdict.RED


@pytest.mark.parametrize("rest", ["", "  many  99", "  -1", "  1e9", "  ²"])
def test_limits_that_are_cut_off_or_no_numbers_are_not_known(rest, machine):
    for name, make in (
        ("Max realtime priority", lambda files: RtprioProbe(40, files)),
        ("Max locked memory", MemlockProbe),
    ):
        assert code_of(make(machine(proc__self__limits=name + rest))) is CheckCode.UNREADABLE


def test_a_core_that_goes_offline_meanwhile_leaves_the_others_to_be_judged(machine):
    cpu = "sys__devices__system__cpu__cpu{}__cpufreq__scaling_governor"
    files = machine(**{cpu.format(0): "powersave\n"})
    gone = files.root / cpu.format(1).replace("__", "/")
    gone.parent.mkdir(parents=True)
    gone.mkdir()  # reading it fails, as of a core that is offline
    line = line_of(GovernorProbe(files))
    assert (line.code, line.value) == (CheckCode.GOVERNOR_SAVES_POWER, "powersave on 1 cores")
