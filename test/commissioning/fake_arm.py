"""An arm and a person for the steps of a first motion: the package's own servo, in made-up time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from carp_ros.commissioning.access import Reading
from carp_ros.commissioning.step import Cell
from carp_ros.commissioning.track import Sample, Track
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.servo import Servo, ServoMode
from carp_ros.reports.control import ControlStatus, Fault, Reason, Source, StoppedError
from carp_ros.rig import Rig
from carp_ros.types import SafetyState, Twist

_TICK_S, _EVERY = 0.01, 1


class FakeArm:
    """Moves as the servo says, within limits that a test may falsify.

    Args:
        rig: The rig.
        limits: Changes of the limits that the arm really keeps.
        drift_m_s: How fast the measured tool sinks while motion is enabled.
    """

    def __init__(self, rig: Rig, *, drift_m_s: float = 0.0, **limits: Any) -> None:
        self.kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
        home = np.array(rig.home_joints_rad)
        kept = replace(rig.limits, **limits)
        self.servo = Servo(self.kinematics, kept, _TICK_S, rig.servo.blend_s, home, 0.0, home)
        self.joints, self.drift_m, self._drift_m_s = home, 0.0, drift_m_s
        self.source, self.enabled, self.fault = Source.HOLD, False, Fault.NONE
        self.safety = SafetyState.NORMAL
        self.deadman, self.moving = False, False
        self.enables: list[Source] = []
        self.disabled = 0
        self.sent = 0
        self.on_wait: Callable[[float], None] = lambda now_s: None
        self._steady_ns, self._ticks = 10**12, 0
        self.clock_set_ns = 0  # by how much somebody set the machine's clock
        self._linear, self._unheard = np.zeros(3), False
        self._samples: list[Sample] = []
        self._speed_m_s = 0.0

    def steady_ns(self) -> int:
        return self._steady_ns

    def now_ns(self) -> int:
        return self._steady_ns + self.clock_set_ns

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / _TICK_S)):
            self._tick()
        self.on_wait((self._steady_ns - 10**12) * 1e-9)

    def reading(self) -> Reading:
        reason = Reason.NONE if self.enabled else Reason.SELECTED
        if self.fault is not Fault.NONE:
            reason = Reason.FAULT
        status = ControlStatus(
            self.source, self.enabled, reason, "why", self.fault, "what", self.moving
        )
        return Reading(status, self.safety, 1.0, self.joints, self._tool(), 0.0)

    def start_track(self) -> None:
        self._samples.clear()
        self._sample()

    def track(self) -> Track:
        return Track.of(self._samples)

    def enable(self, source: Source) -> None:
        self.disable()
        if self.fault is not Fault.NONE:
            raise StoppedError("reset first", Reason.FAULT, self.fault)
        self.source, self.enabled = source, True
        self.enables.append(source)

    def disable(self) -> None:
        self.enabled = False
        self.disabled += 1
        self.servo.stop()

    def send(self, chunk) -> None:
        if not self.enabled:
            raise StoppedError("not enabled", Reason.FAULT, self.fault)
        self.sent += 1
        self.servo.follow_chunk(chunk, self.now_ns())

    def latch(self, fault: Fault, safety: SafetyState = SafetyState.NORMAL) -> None:
        self.fault, self.safety = fault, safety
        self.disable()

    def push(self, linear: tuple[float, float, float]) -> None:
        """Move the arm as the SpaceMouse does while the button is held, until it is let go."""
        self.deadman = True
        self._linear = np.array(linear)

    def let_go_unheard(self) -> None:
        """Let the button go, as the heartbeat says, but not the arm."""
        self.deadman, self._unheard = False, True

    def _tick(self) -> None:
        self._steady_ns += round(_TICK_S * 1e9)
        self._ticks += 1
        if self.source is Source.TELEOP and self.enabled:
            if self.deadman or self._unheard:
                self.servo.follow_twist(Twist(self._linear, np.zeros(3)), 0.0, self.now_ns())
            elif self.servo.mode is ServoMode.TWIST:
                self.servo.stop()
        target = self.servo.step(self.now_ns())
        velocities = (target.joints - self.joints) / _TICK_S
        linear = (self.kinematics.jacobian(self.joints) @ velocities)[:3]
        self._speed_m_s = float(np.linalg.norm(linear))
        self.joints, self.moving = target.joints, target.moving
        if self.enabled:
            self.drift_m += self._drift_m_s * _TICK_S
        if self._ticks % _EVERY == 0:
            self._sample()

    def _sample(self) -> None:
        self._samples.append((self.now_ns(), self._tool().position, self.joints, self._speed_m_s))

    def _tool(self):
        pose = self.kinematics.tcp_pose(self.joints)
        return replace(pose, position=pose.position - np.array([0.0, 0.0, self.drift_m]))


class FakePerson:
    """Confirms until it has said no to a step, and presses Enter when told to."""

    def __init__(self, declines: int | None = None) -> None:
        self.declines = declines
        self.questions: list[str] = []
        self.told: list[str] = []
        self.presses_after: int | None = 5
        self._asked_for_enter = 0

    def tell(self, text: str) -> None:
        self.told.append(text)

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return len(self.questions) - 1 != self.declines

    def has_pressed_enter(self) -> bool:
        self._asked_for_enter += 1
        return self.presses_after is not None and self._asked_for_enter > self.presses_after


@dataclass(frozen=True)
class FakeCell(Cell):
    """A place to do the steps in."""

    arm: FakeArm
    person: FakePerson


def cell_of(rig: Rig, arm: FakeArm | None = None, person: FakePerson | None = None) -> FakeCell:
    """Return a place to do the steps in."""
    arm = arm or FakeArm(rig)
    return FakeCell(rig, arm, person or FakePerson(), arm.kinematics)
