"""Tests for checks/probe.py: what a probe finds, as a line."""

import pytest

from carp_ros.checks.probe import Check, CheckResult, line_of
from carp_ros.reports.check import CheckCode


def failing(error: Exception) -> Check:
    def look() -> CheckResult:
        raise error

    return Check("disk", look)


@pytest.mark.parametrize(
    ("error", "value"),
    [
        (PermissionError(13, "Permission denied", "/proc/a"), "/proc/a: Permission denied"),
        (KeyError("speed"), "KeyError: 'speed'"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_check_that_fails_tells_what_of_and_what_to_do(error, value):
    line = line_of(failing(error))
    assert line.code is CheckCode.FAILED
    assert value in line.value
    assert "carp check" in line.remedy


def test_a_device_s_own_words_do_not_control_the_terminal():
    result = CheckResult("Webcam\x1b[2J\nfake", "see \udce9", CheckCode.USB_SLOW, "\x07")
    line = line_of(Check("USB", lambda: result))
    text = line.value + line.remedy + line.expected
    assert text.isprintable()
    assert "Webcam" in line.value
