"""Tests for checks/clock.py."""

import pytest

from carp_ros.checks.clock import ClockProbe, KernelClock, kernel_clock
from carp_ros.checks.probe import line_of
from carp_ros.checks.system_files import SystemFiles
from carp_ros.reports.check import CheckCode


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (0, CheckCode.OK),
        (1, CheckCode.OK),  # a leap second is ahead
        (5, CheckCode.CLOCK_NOT_SYNCHRONISED),
        (-1, CheckCode.UNREADABLE),
    ],
)
def test_the_kernel_s_word_counts(state, code, tmp_path):
    probe = ClockProbe(SystemFiles(tmp_path), lambda: KernelClock(state, 0.012))
    assert line_of(probe).code is code


def test_the_program_that_keeps_the_clock_is_named(tmp_path):
    pid = tmp_path / "run/chrony/chronyd.pid"
    pid.parent.mkdir(parents=True)
    pid.touch()
    files = SystemFiles(tmp_path)
    good = line_of(ClockProbe(files, lambda: KernelClock(0, 0.012)))
    assert good.value == "synchronised by chrony, off by 12 ms at most"
    bad = line_of(ClockProbe(files, lambda: KernelClock(5, 16.0)))
    assert "chrony runs" in bad.remedy


def test_the_kernel_answers():
    clock = kernel_clock()
    assert -1 <= clock.state <= 5
    assert 0.0 <= clock.off_by_s <= 16.0  # NTP's largest
