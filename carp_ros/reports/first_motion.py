"""The report of `carp first-motion`: each step of an arm's first motion, with what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from carp_ros.reports.control import Fault, Reason


class StepName(Enum):
    """The steps, in their order."""

    READ = auto()
    """Nothing moves; the readings are compared with the robot's own screen."""
    HOLD = auto()
    """Motion is enabled, and the arm holds its place."""
    CENTIMETRE = auto()
    """One centimetre and back, at a tenth of the speed limit."""
    BOX_FACE = auto()
    """Against a face of the workspace box."""
    SPEED = auto()
    """A motion that asks for more than the speed limit."""
    JOINT_STOP = auto()
    """The last joint, up to the margin before its stop."""
    STOP = auto()
    """A stop by the operator."""
    DEADMAN = auto()
    """The dead-man button let go during teleoperation."""
    EMERGENCY_STOP = auto()
    """The robot's own emergency stop."""


class Outcome(Enum):
    """How a step ended."""

    PASSED = auto()
    FAILED = auto()
    DECLINED = auto()
    """The person did not confirm it, so nothing moved."""
    INTERRUPTED = auto()
    """Ctrl-C; the arm was stopped."""


@dataclass(frozen=True)
class Figure:
    """A measured value and the range in which it is as expected.

    Attributes:
        name: With its unit, as `overshoot_m`.
        value: The value.
        at_least, at_most: The range; None for no bound.
    """

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_expected(self) -> bool:
        """Whether the value is in its range."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    def __str__(self) -> str:
        """Return the value with its range: `overshoot_m 0.0004 (at most 0.005)`."""
        bounds = [
            f"at {word} {bound:.4g}"
            for word, bound in (("least", self.at_least), ("most", self.at_most))
            if bound is not None
        ]
        return f"{self.name} {self.value:.4g}" + (f" ({', '.join(bounds)})" if bounds else "")


@dataclass(frozen=True)
class StepReport:
    """What one step showed.

    Attributes:
        step: Which one.
        outcome: How it ended.
        figures: What was measured.
        text: Why it failed, in words; empty if it did not.
        reason, fault: Why the arm was stopped, if that is why.
    """

    step: StepName
    outcome: Outcome
    figures: tuple[Figure, ...] = ()
    text: str = ""
    reason: Reason = Reason.NONE
    fault: Fault = Fault.NONE


@dataclass(frozen=True)
class FirstMotionReport:
    """One walk through the steps; those that are missing were not reached.

    Attributes:
        rig: Name of the rig.
        rig_sha256: Hash of its file's content.
        robot: Name of the robot.
        date: When it began, as in ISO 8601.
        version: Version of this package.
        steps: In the order in which they were done.
    """

    schema: ClassVar[int] = 1

    rig: str
    rig_sha256: str
    robot: str
    date: str
    version: str
    steps: tuple[StepReport, ...]

    @property
    def missing(self) -> tuple[StepName, ...]:
        """The steps that have not passed."""
        passed = {step.step for step in self.steps if step.outcome is Outcome.PASSED}
        return tuple(name for name in StepName if name not in passed)
