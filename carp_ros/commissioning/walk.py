"""Walks a person through the steps: asks before each, and stops the arm after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carp_ros.commissioning.first_steps import CentimetreStep, HoldStep, ReadStep
from carp_ros.commissioning.limit_steps import BoxFaceStep, JointStopStep, SpeedStep
from carp_ros.commissioning.step import Cell, Step
from carp_ros.commissioning.stop_steps import DeadmanStep, EmergencyStopStep, StopStep
from carp_ros.errors import CarpError
from carp_ros.reports.control import StoppedError
from carp_ros.reports.first_motion import Outcome, StepReport

STEPS: tuple[Step, ...] = (
    ReadStep(),
    HoldStep(),
    CentimetreStep(),
    BoxFaceStep(),
    SpeedStep(),
    JointStopStep(),
    StopStep(),
    DeadmanStep(),
    EmergencyStopStep(),
)


def walk(cell: Cell, done: Callable[[StepReport], None], steps: Sequence[Step] = STEPS) -> None:
    """Go through the steps until one fails, or a needed one is declined.

    Args:
        cell: The arm and the person.
        done: Called with the report of each step as it ends, also of an interrupted one.
        steps: The steps.

    Raises:
        KeyboardInterrupt: If the person pressed Ctrl-C; the arm is stopped.
    """
    for number, step in enumerate(steps, start=1):
        cell.person.tell(f"\n{number}/{len(steps)} {step.name.name}")
        report = _report_of(cell, step, done)
        cell.person.tell(_in_words(report))
        done(report)
        failed = report.outcome is Outcome.FAILED
        if failed or (step.is_needed and report.outcome is not Outcome.PASSED):
            return


def _report_of(cell: Cell, step: Step, done: Callable[[StepReport], None]) -> StepReport:
    try:
        plan = step.plan(cell)
        if plan:
            cell.person.tell(plan)
            if not cell.person.confirm("Do this now?"):
                return StepReport(step.name, Outcome.DECLINED)
        figures = tuple(step.carry_out(cell))
    except StoppedError as error:
        return StepReport(step.name, Outcome.FAILED, (), str(error), error.reason, error.fault)
    except CarpError as error:
        return StepReport(step.name, Outcome.FAILED, (), str(error))
    except KeyboardInterrupt:
        cell.arm.disable()
        done(StepReport(step.name, Outcome.INTERRUPTED, (), "Ctrl-C"))
        raise
    finally:
        cell.arm.disable()
    wrong = [str(figure) for figure in figures if not figure.is_expected]
    if wrong:
        text = f"not as expected: {'; '.join(wrong)}"
        return StepReport(step.name, Outcome.FAILED, figures, text)
    return StepReport(step.name, Outcome.PASSED, figures)


def _in_words(report: StepReport) -> str:
    lines = [f"  {figure}" for figure in report.figures]
    verdict = f"{report.step.name}: {report.outcome.name.lower()}"
    return "\n".join([*lines, f"{verdict}: {report.text}" if report.text else verdict])
