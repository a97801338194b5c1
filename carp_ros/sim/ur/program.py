"""Behaviour of ur-rtde's program on the controller, which takes commands from registers.

ur-rtde uploads `rtde_control.script` and then controls it through registers. This module reproduces
that script (version 1.6.5, MIT); it does not interpret URScript. Input integer 0 is the command,
the input doubles are its arguments; output integer 0 is the answer, 1 ready and 2 done. Streamed
commands run in every cycle in which they are in the register; any other runs once, and the next one
has to wait until the client clears the register.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from carp_ros.errors import CarpError
from carp_ros.robots import Robot
from carp_ros.sim.plant import CYCLE_S
from carp_ros.sim.servoj import ServoJ
from carp_ros.sim.ur.kinematics import UrKinematics
from carp_ros.sim.ur.motion import (
    FreeMotion,
    PathMotion,
    ProgramMotion,
    ServoMotion,
    SetPoint,
    SpeedMotion,
    StopMotion,
)
from carp_ros.sim.ur.registers import Registers
from carp_ros.types import Array

READY = 1
DONE = 2

MOVE_J, MOVE_L, SPEED_J, SERVO_J = 1, 3, 9, 11
SPEED_STOP, SERVO_STOP, STEP_TIME, SET_TCP = 15, 16, 26, 29
INVERSE_NEAR, PROTECTIVE_STOP, STOP_J, WATCHDOG = 30, 31, 34, 35
TCP_OFFSET, FORWARD, FORWARD_OF, INVERSE, STEADY = 40, 43, 44, 46, 47
TEACH, END_TEACH = 18, 19
FREEDRIVE, END_FREEDRIVE, FREEDRIVE_STATUS = 52, 53, 54
STOP_SCRIPT = 255
_FREEDRIVE_DECELERATION_RAD_S2 = 10.0
_NEAR_SINGULAR, _TOO_SINGULAR = 0.1, 0.03  # smallest singular values; UR's are not known
_STREAMED = (SPEED_J, SERVO_J, STEP_TIME)


class ProgramError(Exception):
    """Ends the running program; the controller sends the reason as a message."""


class ControlProgram:
    """The uploaded program while it runs.

    Args:
        robot: For its limits in servoJ.
        registers: Shared with the clients.
        kinematics: Of the arm.
        point: The set-point, which motions start from.
        protective_stop: Called when the client requests one.
        push: Returns how a hand pushes the flange, as `Controller.push`.

    Attributes:
        motion: The current motion of the set-point; None holds it.
        watchdog_s: Longest pause between commands that the client allows; None for any.
        ended: Whether the client stopped the program.
    """

    def __init__(
        self,
        robot: Robot,
        registers: Registers,
        kinematics: UrKinematics,
        point: SetPoint,
        protective_stop: Callable[[], None],
        push: Callable[[], Array] = lambda: np.zeros(6),
    ) -> None:
        self._robot = robot
        self._registers = registers
        self._kinematics = kinematics
        self._point = point
        self._push = push
        self._executing = False
        self._blocked = False
        self._freed_by = 0
        self.motion: ProgramMotion | None = None
        self.watchdog_s: float | None = None
        self.ended = False
        registers.output_int[2] = 0
        self._signal(READY)
        self._actions: dict[int, Callable[[], None]] = {
            MOVE_J: self._move_j,
            MOVE_L: self._move_l,
            SPEED_J: self._speed_j,
            SERVO_J: self._servo_j,
            SPEED_STOP: self._stop,
            SERVO_STOP: self._stop,
            STOP_J: self._stop,
            SET_TCP: self._set_tcp,
            PROTECTIVE_STOP: protective_stop,
            WATCHDOG: self._set_watchdog,
            TEACH: lambda: self._free(FreeMotion(self._torques)),
            END_TEACH: lambda: self._end_free(TEACH),
            FREEDRIVE: self._freedrive,
            END_FREEDRIVE: lambda: self._end_free(FREEDRIVE),
            FREEDRIVE_STATUS: self._freedrive_status,
            STEP_TIME: lambda: self._return([CYCLE_S]),
            TCP_OFFSET: lambda: self._return(kinematics.tcp_offset),
            FORWARD: lambda: self._return(kinematics.forward(point.joints)),
            FORWARD_OF: lambda: self._return(
                kinematics.forward(self._arguments(0), self._arguments(6))
            ),
            INVERSE: lambda: self._inverse(point.joints),
            INVERSE_NEAR: lambda: self._inverse(self._arguments(6)),
            STEADY: self._steady,
        }

    def cycle(self) -> None:
        """Read the command register once and act on it.

        Raises:
            ProgramError: If the program fails; it must then be discarded.
        """
        if self._blocked:
            return
        command = int(self._registers.input_int[0])
        if command in _STREAMED:
            self._actions[command]()
            self._signal(READY)
        elif command == 0:
            self._executing = False
            self._signal(READY)
        elif not self._executing:
            self._executing = True
            self._run_once(command)

    @property
    def guided(self) -> bool:
        """Whether the arm yields to a hand."""
        return isinstance(self.motion, FreeMotion)

    def move(self) -> None:
        """Move the set-point by one cycle of the current motion."""
        if self.motion is not None and self.motion.step(self._point):
            self.motion = None
            if self._blocked:
                self._blocked = False
                self._signal(DONE)

    def _run_once(self, command: int) -> None:
        if command == STOP_SCRIPT:
            self.ended = True
            return
        if command in self._actions:  # the real script also answers "done" to unknown commands
            self._actions[command]()
        if not self._blocked:
            self._signal(DONE)

    def _move_j(self) -> None:
        start, end = self._point.joints, self._arguments(0)
        length = float(np.abs(end - start).max())
        self._begin_move(lambda fraction: start + fraction * (end - start), length)

    def _move_l(self) -> None:
        start, end = self._kinematics.forward(self._point.joints), self._arguments(0)
        self._solve(end, self._point.joints)

        def path(fraction: float) -> Array:
            pose = self._kinematics.between(start, end, fraction)
            return self._solve(pose, self._point.joints)

        self._begin_move(path, float(np.linalg.norm(end[:3] - start[:3])))

    def _begin_move(self, path: Callable[[float], Array], length: float) -> None:
        self._refuse_second_motion(PathMotion)
        speed, acceleration = self._registers.input_double[6:8]
        self.motion = PathMotion(path, max(length, 1e-6), speed, acceleration)
        self._blocked = int(self._registers.input_int[1]) != 1

    def _speed_j(self) -> None:
        self._refuse_second_motion(SpeedMotion)
        self.motion = SpeedMotion(self._arguments(0), self._registers.input_double[6])

    def _servo_j(self) -> None:
        self._refuse_second_motion(ServoMotion)
        target = self._arguments(0)
        if not isinstance(self.motion, ServoMotion):
            self.motion = ServoMotion(ServoJ(self._robot, self._point.joints, CYCLE_S))
        lookahead_s, gain = self._registers.input_double[9:11]
        self.motion.aim(target, max(lookahead_s, 0.03), gain)

    def _stop(self) -> None:
        self.motion = StopMotion(self._registers.input_double[0])
        self._blocked = True

    def _freedrive(self) -> None:
        axes = self._kinematics.axes_of(self._arguments(0))
        locked = np.array(self._registers.input_int[1:7]) == 0
        self._free(FreeMotion(self._torques, lambda q: self._kinematics.jacobian(q, axes)[locked]))

    def _free(self, motion: FreeMotion) -> None:
        self._refuse_second_motion(FreeMotion)
        self.motion = motion
        self._freed_by = int(self._registers.input_int[0])

    def _end_free(self, command: int) -> None:
        # Answers at once, and a motion that begins before the arm stands is a second one. Nothing
        # tells whether the end of the one mode would also end the other.
        if isinstance(self.motion, FreeMotion) and self._freed_by == command:
            self.motion = StopMotion(_FREEDRIVE_DECELERATION_RAD_S2)

    def _freedrive_status(self) -> None:
        jacobian = self._kinematics.jacobian(self._point.joints, np.eye(3))
        smallest = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        self._registers.output_int[1] = int(smallest < _NEAR_SINGULAR) + int(
            smallest < _TOO_SINGULAR
        )

    def _torques(self, joints: Array) -> Array:
        return self._kinematics.torques(joints, self._push())

    def _refuse_second_motion(self, kind: type[ProgramMotion]) -> None:
        if self.motion is not None and not isinstance(self.motion, kind):
            raise ProgramError("Another thread is already controlling the robot")

    def _set_tcp(self) -> None:
        self._kinematics.tcp_offset = self._arguments(0)

    def _set_watchdog(self) -> None:
        rate_hz = self._registers.input_double[0]
        self.watchdog_s = 1.0 / rate_hz if rate_hz > 0 else None

    def _inverse(self, near: Array) -> None:
        self._return(self._solve(self._arguments(0), near))

    def _steady(self) -> None:
        self._registers.output_int[1] = int(self._point.steady)

    def _solve(self, pose: Array, near: Array) -> Array:
        try:
            return self._kinematics.inverse(pose, near)
        except CarpError as error:
            raise ProgramError(f"get_inverse_kin: unable to find a solution: {error}") from error

    def _arguments(self, first: int) -> Array:
        numbers = np.array(self._registers.input_double[first : first + 6])
        if not np.isfinite(numbers).all():
            raise ProgramError(f"command has {numbers.tolist()}; expected finite numbers")
        return numbers

    def _return(self, numbers: Array | list[float]) -> None:
        self._registers.output_double[: len(numbers)] = [float(x) for x in numbers]

    def _signal(self, state: int) -> None:
        self._registers.output_int[0] = state
