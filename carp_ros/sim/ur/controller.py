"""The controller's cycle of 2 ms: program, set-point, safety, arm and gripper."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from carp_ros.robots import Robot
from carp_ros.sim.plant import CYCLE_S, Plant
from carp_ros.sim.ur.kinematics import UrKinematics
from carp_ros.sim.ur.motion import SetPoint, StopMotion
from carp_ros.sim.ur.program import ControlProgram, ProgramError
from carp_ros.sim.ur.registers import Registers
from carp_ros.sim.ur.robotiq import RobotiqFingers
from carp_ros.sim.ur.rtde import text_message
from carp_ros.sim.ur.safety import RobotMode, SafetyController
from carp_ros.types import Array

_STOP_DECELERATION_RAD_S2 = 10.0
_LOAD_DELAY_S = 0.05
MOST_PAUSE_S = 0.1  # tolerated on a busy machine; the commanding program notices longer ones, too
_PROGRAM_HEAD = "def rtde_control():"


class RuntimeState(IntEnum):
    """State of the program, in the numbering of RTDE `runtime_state`."""

    STOPPED = 1
    PLAYING = 2
    PAUSED = 4


class Controller:
    """A UR5e controller, PolyScope 5.12, with a Robotiq gripper on its tool.

    Args:
        robot: For the arm's joints and limits.
        plant: The simulated arm and gripper.
        unlock_delay_s: Time from a protective stop until it may be unlocked.
        power_delay_s: Duration of powering on and of releasing the brakes, each.

    Attributes:
        point: The motors' set-point.
        remote_control: Whether the pendant permits commands from the network.
        messages: RTDE text messages not yet sent.
        fastest_rad_s: Highest joint speed since the last reset to zero.
        blocked_at: Where the arm is held, of shape (J,) in [rad]; None if it is free.
        push: How a hand pushes the flange: force [N] and torque [Nm] in the axes of `base_link`, of
            shape (6,). Only an arm in freedrive yields to it.
    """

    version = (5, 12, 0, 1101319)

    def __init__(
        self, robot: Robot, plant: Plant, *, unlock_delay_s: float = 5.0, power_delay_s: float = 0.2
    ) -> None:
        self._robot = robot
        self._max_speed_rad_s = (1.0 + 1e-6) * np.array(robot.max_speed_rad_s)
        self._lower_rad = np.array(robot.lower_rad)
        self._upper_rad = np.array(robot.upper_rad)
        self._cycles = 0
        self._program: ControlProgram | None = None
        self._starts_at_s: float | None = None
        self._command_count = 0
        self._commanded_at_s = 0.0
        self._brake = StopMotion(_STOP_DECELERATION_RAD_S2)
        self.plant = plant
        self.kinematics = UrKinematics(robot)
        self.registers = Registers()
        self.safety = SafetyController(unlock_delay_s, power_delay_s)
        self.fingers = RobotiqFingers()
        self.point = SetPoint(np.array(plant.joints), np.zeros(len(robot.joint_names)))
        self.runtime = RuntimeState.STOPPED
        self.remote_control = True
        self.messages: list[bytes] = []
        self.fastest_rad_s = 0.0
        self.blocked_at: Array | None = None
        self.push = np.zeros(6)

    @property
    def tcp_force(self) -> tuple[float, ...]:
        """RTDE `actual_TCP_force` of an e-Series: about the flange, in the axes of UR's `base`."""
        fx, fy, fz, tx, ty, tz = (self.plant.wrench + self.push).tolist()
        return -fx, -fy, fz, -tx, -ty, tz

    @property
    def time_s(self) -> float:
        """The controller's clock: simulated time since its start."""
        return self._cycles * CYCLE_S

    @property
    def guided(self) -> bool:
        """Whether the arm yields to a hand."""
        playing = self.runtime is RuntimeState.PLAYING
        return self._program is not None and playing and self._program.guided

    def upload(self, text: str) -> None:
        """Load ur-rtde's program, which starts a moment later; reject any other."""
        if not (text.startswith(_PROGRAM_HEAD) and self.remote_control):
            self._report("only ur-rtde's control program runs here, and only in remote control")
            return
        self.stop_program()
        self._starts_at_s = self.time_s + _LOAD_DELAY_S

    def stop_program(self) -> None:
        """Stop the program; the arm decelerates to a standstill."""
        self._program = None
        self._starts_at_s = None
        self.runtime = RuntimeState.STOPPED

    def protective_stop(self) -> None:
        """Stop as after a collision: the program stays paused until it is replaced."""
        self.safety.protective_stop(self.time_s)
        if self.runtime is RuntimeState.PLAYING:
            self.runtime = RuntimeState.PAUSED

    def emergency_stop(self) -> None:
        """Press the emergency stop."""
        self.safety.emergency_stop()
        self.stop_program()

    def power_off(self) -> None:
        """Switch off the arm's power."""
        self.safety.power_off()
        self.stop_program()

    def restore(self) -> None:
        """Undo every fault, as a person at the pendant would: powered, ready, without a program."""
        self.stop_program()
        self.safety.restore()
        self.fingers.blocked_at = self.blocked_at = None
        self.push = np.zeros(6)
        self.remote_control = True
        self.point.speed_fraction = 1.0

    def slept(self, duration_s: float) -> None:
        """Handle a pause without cycles, which a real controller never has.

        The real watchdog would have run all the while: commands still in the sockets are too late.
        """
        limit_s = self._program.watchdog_s if self._program else None
        if limit_s is not None and duration_s > max(limit_s, MOST_PAUSE_S):
            self._report(f"RTDE watchdog: this machine paused for {duration_s:.3f} s")
            self.stop_program()

    def cycle(self) -> None:
        """Advance by 2 ms."""
        self._cycles += 1
        self.safety.advance(self.time_s)
        self._watch_commands()
        self._start_program()
        self._run_program()
        self._move()
        powered = self.safety.robot_mode is not RobotMode.POWER_OFF
        gripper = self.fingers.cycle(self.plant.gripper_closure, powered)
        held = self.blocked_at
        self.plant.drive(self.point.joints if held is None else held, gripper)
        self.plant.advance()
        self.fastest_rad_s = max(self.fastest_rad_s, float(np.abs(self.plant.velocities).max()))

    def _watch_commands(self) -> None:
        if self.registers.command_count != self._command_count:
            self._command_count = self.registers.command_count
            self._commanded_at_s = self.time_s
        limit_s = self._program.watchdog_s if self._program else None
        if limit_s is not None and self.time_s - self._commanded_at_s > limit_s:
            self._report(f"RTDE watchdog: no command for {limit_s:.3f} s")
            self.stop_program()

    def _start_program(self) -> None:
        # Motions start from rest, so wait until the motion of an earlier program has ended.
        due = self._starts_at_s is not None and self.time_s >= self._starts_at_s
        if not (due and self.point.steady):
            return
        self._starts_at_s = None
        if self.safety.may_move:
            self._program = ControlProgram(
                self._robot,
                self.registers,
                self.kinematics,
                self.point,
                self.protective_stop,
                lambda: self.push,
            )
            self.runtime = RuntimeState.PLAYING

    def _run_program(self) -> None:
        if self._program is None or self.runtime is not RuntimeState.PLAYING:
            return
        try:
            self._program.cycle()
        except ProgramError as error:
            self._report(str(error))
            self.stop_program()
            return
        if self._program.ended:
            self.stop_program()

    def _move(self) -> None:
        joints, velocities = self.point.joints, self.point.velocities
        if self._program is None or self.runtime is not RuntimeState.PLAYING:
            if not self.point.steady:
                self._brake.step(self.point)
            return
        try:
            self._program.move()
        except ProgramError as error:
            self._report(str(error))
            self.stop_program()
        reason = self._violation(joints)
        if reason:
            self._report(reason)
            self.point.joints, self.point.velocities = joints, velocities
            self.protective_stop()
            self._brake.step(self.point)

    def _violation(self, before: Array) -> str | None:
        """Return why the safety controller rejects the set-point; None if it does not."""
        joints = self.point.joints
        velocities = (joints - before) / CYCLE_S
        if (np.abs(velocities) > self._max_speed_rad_s).any():
            return f"joint speed limit: {np.round(velocities, 2).tolist()} rad/s"
        if (joints < self._lower_rad).any() or (joints > self._upper_rad).any():
            return f"joint position limit: {np.round(joints, 3).tolist()} rad"
        return None

    def _report(self, text: str) -> None:
        self.messages.append(text_message(text))
