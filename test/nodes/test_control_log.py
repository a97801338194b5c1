"""Tests for nodes/control_log.py: each change is told once."""

import pytest

from carp_ros.nodes.control_log import ControlLog
from carp_ros.reports.control import Fault


@pytest.fixture
def lines():
    return []


@pytest.fixture
def log(lines):
    return ControlLog(lambda text: lines.append(f"E {text}"), lambda text: lines.append(text))


def test_a_fault_is_told_with_its_remedy_when_it_latches_and_when_it_is_cleared(log, lines):
    for _ in range(100):
        log.tell(Fault.NONE, "", "")
    assert lines == []
    for i in range(100):
        log.tell(Fault.TRACKING, f"0.0{i} m off: reset", "")
    for _ in range(100):
        log.tell(Fault.NONE, "", "")

    assert lines == [
        "E fault TRACKING, the arm is stopped: 0.00 m off: reset",
        "fault TRACKING cleared: select and enable to move again",
    ]


def test_a_fault_that_turns_out_to_be_another_is_told_too(log, lines):
    log.tell(Fault.NOT_READY, "the program ended", "")
    log.tell(Fault.SAFETY_STOP, "PROTECTIVE_STOP", "")
    assert [line.split(",")[0] for line in lines] == ["E fault NOT_READY", "E fault SAFETY_STOP"]


def test_what_is_waited_for_is_told_when_it_changes_and_is_no_error(log, lines):
    for _ in range(300):
        log.tell(Fault.NONE, "", "the arm (no answer yet)")
    for _ in range(300):
        log.tell(Fault.NONE, "", "the arm (it is off)")
    log.tell(Fault.NONE, "", "")

    assert lines == [
        "waiting for the arm (no answer yet)",
        "waiting for the arm (it is off)",
        "the arm is connected",
    ]
