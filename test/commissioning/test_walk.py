"""Tests for commissioning/walk.py: what is asked, what ends it, and that the arm always stops."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from carp_ros.commissioning.walk import STEPS, walk
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, Reason, Source, StoppedError
from carp_ros.reports.first_motion import Figure, Outcome, StepName
from carp_ros.rig import load_rig

from .fake_arm import FakePerson, cell_of

RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e.yaml")


@dataclass
class FakeStep:
    """Enables the arm and then does what the test says."""

    name: StepName = StepName.SPEED
    is_needed: bool = False
    does: BaseException | list[Figure] | None = None
    cells: list = field(default_factory=list)

    def plan(self, cell):
        return "It moves."

    def carry_out(self, cell):
        self.cells.append(cell)
        cell.arm.enable(Source.POLICY)
        if isinstance(self.does, BaseException):
            raise self.does
        return self.does or [Figure("way_m", 0.01, at_most=0.02)]


def walked(*steps, person=None):
    cell, reports = cell_of(RIG, person=person), []
    try:
        walk(cell, reports.append, steps)
    finally:
        assert not cell.arm.enabled
    return cell, reports


def outcomes(reports):
    return [report.outcome for report in reports]


def test_each_step_is_asked_for_and_the_arm_stopped_after_it():
    cell, reports = walked(FakeStep(), FakeStep())
    assert cell.person.questions == ["Do this now?"] * 2
    assert outcomes(reports) == [Outcome.PASSED] * 2
    assert cell.arm.disabled >= 2


def test_a_step_that_is_declined_moves_nothing_and_the_next_is_asked_for():
    first, second = FakeStep(), FakeStep()
    _, reports = walked(first, second, person=FakePerson(declines=0))
    assert outcomes(reports) == [Outcome.DECLINED, Outcome.PASSED]
    assert (len(first.cells), len(second.cells)) == (0, 1)


def test_without_a_needed_step_there_are_no_others():
    cell, reports = walked(FakeStep(is_needed=True), FakeStep(), person=FakePerson(declines=0))
    assert outcomes(reports) == [Outcome.DECLINED]
    assert cell.arm.enables == []


@pytest.mark.parametrize(
    "does",
    [
        DeviceError("the system did not answer"),
        StoppedError("stopped", Reason.FAULT, Fault.TRACKING),
        [Figure("way_m", 0.03, at_most=0.02)],
    ],
)
def test_a_failed_step_is_the_last(does):
    later = FakeStep()
    _, reports = walked(FakeStep(does=does), later)
    assert outcomes(reports) == [Outcome.FAILED]
    assert reports[0].text
    assert later.cells == []


def test_why_the_arm_stopped_is_kept_as_a_code():
    _, (report,) = walked(FakeStep(does=StoppedError("x", Reason.FAULT, Fault.TRACKING)))
    assert (report.reason, report.fault) == (Reason.FAULT, Fault.TRACKING)


def test_ctrl_c_stops_the_arm_and_is_reported():
    cell, reports = cell_of(RIG), []
    with pytest.raises(KeyboardInterrupt):
        walk(cell, reports.append, [FakeStep(does=KeyboardInterrupt())])
    assert not cell.arm.enabled
    assert outcomes(reports) == [Outcome.INTERRUPTED]


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_ctrl_c_in_any_real_step_stops_the_arm(number):
    cell, reports = cell_of(RIG), []

    def interrupt(now_s):
        if cell.arm.enabled or STEPS[number].name is StepName.READ:
            raise KeyboardInterrupt

    cell.arm.on_wait = interrupt
    with pytest.raises(KeyboardInterrupt):
        walk(cell, reports.append, [STEPS[number]])
    assert not cell.arm.enabled
    assert outcomes(reports) == [Outcome.INTERRUPTED]


def test_a_step_that_can_not_be_done_here_fails_without_a_question():
    class Impossible(FakeStep):
        def plan(self, cell):
            raise DeviceError("no reading")

    cell, reports = walked(Impossible())
    assert (cell.person.questions, outcomes(reports)) == ([], [Outcome.FAILED])


def test_every_step_has_its_own_name_in_the_report_s_order():
    assert [step.name for step in STEPS] == list(StepName)
