"""The steps that stop the arm: by the operator, by the dead-man button, by the emergency stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.commissioning.limit_steps import run
from carp_ros.commissioning.step import SLOW, Cell, StepError, follow, go_back, in_words
from carp_ros.commissioning.timed_path import TimedPath
from carp_ros.commissioning.track import Stop
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, Source, StoppedError
from carp_ros.reports.first_motion import Figure, StepName
from carp_ros.rig import LimitsConfig
from carp_ros.types import Array, Pose, SafetyState

_MOVES_S = 20.0
_REST_S = 1.0
_REACTS_S = 0.25  # of messages and the arm's own smoothing
_STANDS_S = 0.6
_MOVING_M_S = 0.005
_PERSON_S = 60.0
_POLL_S = 0.02
_TOLD_S = 3.0  # the robot's safety state is told once a second
_PRESSED = (SafetyState.EMERGENCY_STOP, SafetyState.SAFEGUARD_STOP)  # an FR3's user stop


@dataclass(frozen=True)
class StopStep:
    """The arm moves to and fro until the person stops it."""

    name: StepName = StepName.STOP
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say where it moves, and what to press."""
        direction, run_m = run(cell)
        speed = SLOW * cell.limits.max_linear_speed_m_s
        return (
            f"The tool moves to and fro over {run_m * 1e3:.0f} mm along {in_words(direction)}, at"
            f" {speed * 1e3:.0f} mm/s. Press Enter while it moves: it must stop at once."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Move until Enter is pressed, and measure how the arm stops."""
        start = cell.arm.reading().tool
        direction, run_m = run(cell)
        stop = self._stopped(cell, start, run_m * direction)
        while stop.speed_m_s < _MOVING_M_S and cell.person.confirm(
            "The arm was turning round when you pressed Enter, which shows nothing. Once more?"
        ):
            stop = self._stopped(cell, start, run_m * direction)
        if cell.person.confirm("The tool goes back slowly to where it began. Now?"):
            go_back(cell, start)
        return figures_of(stop, cell.limits)

    def _stopped(self, cell: Cell, start: Pose, run_m: Array) -> Stop:
        """Move to and fro between a pose and one shifted from it, until Enter is pressed."""
        arm, speed = cell.arm, SLOW * cell.limits.max_linear_speed_m_s
        arm.enable(Source.POLICY)
        arm.start_track()
        until_ns = arm.steady_ns() + round(_MOVES_S * 1e9)
        shift, pressed = run_m, False
        while not pressed and arm.steady_ns() < until_ns:
            here = arm.reading().tool
            path = TimedPath.straight(here, start.position + shift - here.position, speed)
            pressed = follow(cell, path, cell.person.has_pressed_enter, settle_s=0.0)
            shift = np.zeros(3) if shift.any() else run_m
        if not pressed:
            raise StepError(f"Enter was not pressed within {_MOVES_S:.0f} s")
        told_ns = arm.now_ns()
        arm.disable()
        arm.wait(_REST_S)
        return arm.track().stop_after(told_ns)


@dataclass(frozen=True)
class DeadmanStep:
    """The person moves the arm with the pointer, and lets go of the dead-man button."""

    name: StepName = StepName.DEADMAN
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say what to hold and what to let go."""
        pointer = cell.rig.teleop.pointer
        return (
            f"Teleoperation is enabled. Hold the dead-man button of the {pointer.driver}"
            f" ({pointer.deadman}), move the arm gently, and let go of the button while it moves:"
            " it must stop at once."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Wait for the button, and measure how the arm stops after it is let go."""
        arm = cell.arm
        arm.enable(Source.TELEOP)
        arm.start_track()
        until_ns = arm.steady_ns() + round(_PERSON_S * 1e9)
        held = moved = False
        while arm.steady_ns() < until_ns:
            status = arm.reading().status
            if not status.enabled:
                text = f"the arm was stopped: {status.reason_text}"
                raise StoppedError(text, status.reason, status.fault)
            held |= arm.deadman
            moved |= arm.deadman and arm.moving
            if held and not arm.deadman:
                if moved:
                    break
                held = False
            arm.wait(_POLL_S)
        else:
            raise StepError(
                f"the button was not held and let go within {_PERSON_S:.0f} s while the arm moved:"
                f" is the {cell.rig.teleop.pointer.driver} plugged in? carp check <rig> says"
            )
        told_ns = arm.now_ns()
        arm.wait(_REST_S)
        stop = arm.track().stop_after(told_ns)
        arm.disable()
        return figures_of(stop, cell.limits)


@dataclass(frozen=True)
class EmergencyStopStep:
    """The person presses the robot's own emergency stop while the arm holds its place."""

    name: StepName = StepName.EMERGENCY_STOP
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say what to press, and what follows."""
        return (
            "Motion is enabled, and the arm holds its place. Press the robot's emergency stop (of"
            " an FR3: the user stop). The system must see it and stay stopped. It is the last step:"
            " afterwards release it, and follow doc/safety.md to move again."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Wait for the fault."""
        arm = cell.arm
        arm.enable(Source.POLICY)
        begun_ns = arm.steady_ns()
        path = TimedPath.still(arm.reading().tool, _PERSON_S)
        expected = Fault.SAFETY_STOP if cell.rig.arm.tells_safety else Fault.NOT_READY
        try:
            follow(cell, path, lambda: arm.fault is expected)
        except DeviceError:
            arm.wait(_REST_S)  # the first symptom is replaced by its cause
        seconds = (arm.steady_ns() - begun_ns) * 1e-9
        if arm.fault is not expected:
            raise StepError(
                f"no {expected.name} was seen within {seconds:.0f} s, but {arm.fault.name}: is the"
                " emergency stop wired to this robot?"
            )
        self._require_pressed(cell)
        return [Figure("pressed_after_s", seconds)]

    def _require_pressed(self, cell: Cell) -> None:
        """Refuse a stop that the arm made by itself, as after a collision.

        Raises:
            StepError: If it did.
        """
        arm = cell.arm
        if not cell.rig.arm.tells_safety:
            if not cell.person.confirm("Did the system stop because you pressed it?"):
                raise StepError("the emergency stop was not pressed: see why the arm stopped")
            return
        until_ns = arm.steady_ns() + round(_TOLD_S * 1e9)
        while arm.reading().safety.may_move and arm.steady_ns() < until_ns:
            arm.wait(_POLL_S)
        safety = arm.reading().safety
        if safety not in _PRESSED:
            raise StepError(
                f"the robot is in {safety.name}, expected"
                f" {' or '.join(state.name for state in _PRESSED)}: it was not stopped by its"
                " emergency stop; see its own screen for the reason"
            )


def figures_of(stop: Stop, limits: LimitsConfig) -> list[Figure]:
    """Return the figures of a stop, with what the limits allow."""
    braking_m = stop.speed_m_s**2 / (2.0 * limits.max_linear_acceleration_m_s2)
    return [
        Figure("speed_m_s", stop.speed_m_s, at_least=_MOVING_M_S),
        Figure("stopped_within_s", stop.seconds, at_most=_STANDS_S),
        Figure(
            "stopped_within_m",
            stop.metres,
            at_most=braking_m + _REACTS_S * stop.speed_m_s + 0.002,
        ),
    ]
