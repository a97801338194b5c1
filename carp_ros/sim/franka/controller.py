"""The controller's cycle of 1 ms: motion, set-point, errors, arm and hand."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add, gt, lt

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import matrix_from_quaternion
from carp_ros.robots import Robot
from carp_ros.sim.franka.hand import Hand
from carp_ros.sim.franka.motion import SetPoint, joint_velocities
from carp_ros.sim.franka.protocol import (
    COLLISION_REQUEST,
    MOVE_REQUEST,
    TRANSFORM_REQUEST,
    Command,
    ControllerMode,
    Error,
    Generator,
    MessageStream,
    MotionCommand,
    MoveStatus,
    RobotMode,
)
from carp_ros.sim.franka.state import RobotState, columns, end_effector
from carp_ros.sim.plant import Plant
from carp_ros.types import Array, Pose

CYCLE_S = 0.001
LOST_COMMANDS = 20
"""Commands missing in a row that end a motion with a violation of communication constraints."""

_OVER = 1.02  # tolerance of speed limits
_NO_TORQUES = (0.0,) * 7
_GRACE_CYCLES = 100  # from the start of a motion to its first command
_HAND = Pose(
    np.array([0.0, 0.0, 0.1034]), np.array([0.0, 0.0, -np.sin(np.pi / 8), np.cos(np.pi / 8)])
)


@dataclass(slots=True)
class _Motion:
    """The motion under way: the number of its request, and what the client sends for it."""

    number: int
    controller: ControllerMode
    generator: Generator


class FrankaController:
    """An FR3 controller, system 5.9, with a Franka Hand.

    Args:
        robot: For the arm's joints and limits.
        plant: The simulated arm and gripper.
        urdf: What GET_ROBOT_MODEL answers.
        lost_commands: Missing commands in a row that stop a motion; 20 on a real one, more on a
            machine that is too busy for a client to be on time.

    Attributes:
        point: The motors' set-point.
        mode: The robot's mode.
        errors, last_errors: Active errors, and those that ended the last motion.
        answers: To be sent to the client.
        stream: Of the client's messages.
        fastest_rad_s: Highest joint speed since the last reset to zero.
        blocked_at: Where the arm is held, of shape (7,) in [rad]; None if it is free.
        push: How a hand pushes the flange: force [N] and torque [Nm] in base axes, of shape (6,).
        deaf_until_s: Controller time until which a client's commands get lost.
    """

    hand_pose = _HAND
    """`flange_from_hand`: the end effector that the robot has by itself."""

    def __init__(
        self, robot: Robot, plant: Plant, urdf: str, *, lost_commands: int = LOST_COMMANDS
    ) -> None:
        self._robot = robot
        self._urdf = urdf.encode()
        self._lost_commands = lost_commands
        self._kinematics = Kinematics(robot, _HAND)
        self._flange = Kinematics(robot, Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])))
        self._collision_n = (math.inf,) * 6
        self._most_speed = [_OVER * speed for speed in robot.max_speed_rad_s]
        self._per_plant = max(1, round(plant.period_s / CYCLE_S))
        self._cycles = 0
        self._motion: _Motion | None = None
        self._command: MotionCommand | None = None
        self._missing = 0
        self._arrived: deque[bool] = deque(maxlen=100)
        self._torques = self._external = _NO_TORQUES
        self._collision_nm = (math.inf,) * 7
        self._nominal_from_ee = np.eye(4)
        self._end_effector = end_effector(_matrix(_HAND), self._nominal_from_ee)
        self._closure = 0.0
        self.plant = plant
        self.hand = Hand(CYCLE_S)
        self._measure()
        self.point = SetPoint(list(self._joints), [0.0] * 7)
        self.mode = RobotMode.IDLE
        self.errors: tuple[int, ...] = ()
        self.last_errors: tuple[int, ...] = ()
        self.answers: list[bytes] = []
        self.stream = MessageStream()
        self.fastest_rad_s = 0.0
        self.blocked_at: Array | None = None
        self.push = np.zeros(6)
        self.deaf_until_s = 0.0

    @property
    def time_s(self) -> float:
        """The controller's clock: simulated time since its start."""
        return self._cycles * CYCLE_S

    @property
    def moving(self) -> bool:
        """Whether a client's motion is under way."""
        return self._motion is not None

    def request(self, command: int, number: int, payload: bytes) -> None:
        """Obey a client's request.

        Raises:
            ValueError: If there is no such request, or its payload is too short.
        """
        kind = Command(command)
        status, content = 0, b""
        if kind is Command.MOVE:
            status = self._start_motion(number, payload)
        elif kind is Command.STOP_MOVE:
            self._end_motion(MoveStatus.PREEMPTED, RobotMode.IDLE)
        elif kind is Command.AUTOMATIC_ERROR_RECOVERY:
            status = self._recover()
        elif kind is Command.SET_COLLISION_BEHAVIOR:
            if self.moving:  # libfranka: outside of any control loop only
                status = 1  # not possible
            else:
                numbers = _unpacked(COLLISION_REQUEST, payload)
                self._collision_nm, self._collision_n = numbers[21:28], numbers[46:52]
        elif kind is Command.SET_NE_TO_EE:
            numbers = _unpacked(TRANSFORM_REQUEST, payload)
            self._nominal_from_ee = np.array(numbers).reshape(4, 4).T
            self._end_effector = end_effector(_matrix(_HAND), self._nominal_from_ee)
            self._measure()
        elif kind is Command.GET_ROBOT_MODEL:
            content = self._urdf
        self.answers.append(self.stream.answer(kind, number, status, content))

    def command(self, command: MotionCommand) -> None:
        """Take the client's answer to the last state."""
        if self._motion is None or self.time_s < self.deaf_until_s:
            return
        self._command, self._missing = command, 0
        if command.finished:
            self._end_motion(MoveStatus.SUCCESS, RobotMode.IDLE)

    def forget_client(self) -> None:
        """End the motion of a client that is gone."""
        self._end_motion(MoveStatus.ABORTED, RobotMode.IDLE)
        self.answers.clear()
        self.stream = MessageStream()

    def reflex(self, error: int = Error.CARTESIAN_REFLEX) -> None:
        """Stop the arm because of an error, as after a collision."""
        if self.mode is RobotMode.USER_STOPPED:
            return
        self.errors = (error,)
        if self.moving:
            self.last_errors = self.errors
        self._end_motion(MoveStatus.REFLEX_ABORTED, RobotMode.REFLEX)
        self.mode = RobotMode.REFLEX

    def user_stop(self) -> None:
        """Press the user stop."""
        self._end_motion(MoveStatus.EMERGENCY_ABORTED, RobotMode.USER_STOPPED)
        self.mode = RobotMode.USER_STOPPED

    def release_user_stop(self) -> None:
        """Release the user stop."""
        if self.mode is RobotMode.USER_STOPPED:
            self.mode = RobotMode.REFLEX if self.errors else RobotMode.IDLE

    def restore(self) -> None:
        """Undo every fault, as a person at the robot would."""
        self.errors, self.blocked_at, self.hand.blocked_at = (), None, None
        self.push = np.zeros(6)
        self.deaf_until_s = 0.0
        if not self.moving:
            self.mode = RobotMode.IDLE

    def cycle(self) -> None:
        """Advance by 1 ms."""
        self._cycles += 1
        self._count_commands()
        self._move()
        self._closure = self.hand.cycle(self.plant.gripper_closure)
        if self._cycles % self._per_plant == 0:
            held = self.blocked_at
            self.plant.drive(np.array(self.point.joints) if held is None else held, self._closure)
            self.plant.advance()
            self._measure()
        self._yield_to_a_hold()
        self.fastest_rad_s = max(self.fastest_rad_s, *map(abs, self._velocities))

    def state(self) -> RobotState:
        """Return the present state."""
        motion = self._motion
        return RobotState(
            joints=self._joints,
            velocities=self._velocities,
            point=self.point.joints,
            point_velocities=self.point.velocities,
            torques=self._torques,
            external_torques=self._external,
            wrench=self._estimated_wrench(),
            base_from_ee=columns(self._base_from_ee),
            end_effector=self._end_effector,
            generator=motion.generator + 1 if motion else 0,
            controller=motion.controller if motion else ControllerMode.OTHER,
            errors=self.errors,
            last_errors=self.last_errors,
            mode=self.mode,
            success_rate=sum(self._arrived) / 100.0,
        )

    def _measure(self) -> None:
        """Read the arm, which moves in the plant's steps only."""
        joints = np.array(self.plant.joints)
        self._joints: list[float] = joints.tolist()
        self._velocities: list[float] = self.plant.velocities.tolist()
        self._base_from_ee = _matrix(self._kinematics.tcp_pose(joints)) @ self._nominal_from_ee

    def _hand_torques(self) -> Sequence[float]:
        if not self.push.any():
            return _NO_TORQUES
        return (self._flange.jacobian(np.array(self.point.joints)).T @ self.push).tolist()

    def _estimated_wrench(self) -> tuple[float, ...]:
        """Return `K_F_ext_hat_K`, K being the end effector: what it does to its environment."""
        push = self.plant.wrench + self.push
        if not push.any():
            return (0.0,) * 6
        flange = self._flange.tcp_pose(np.array(self._joints)).position
        rotation, lever = self._base_from_ee[:3, :3], flange - self._base_from_ee[:3, 3]
        torque = push[3:] + np.cross(lever, push[:3])
        return (*(-(rotation.T @ push[:3])).tolist(), *(-(rotation.T @ torque)).tolist())

    def _start_motion(self, number: int, payload: bytes) -> MoveStatus:
        if self.mode is not RobotMode.IDLE:
            return MoveStatus.NOT_POSSIBLE
        numbers = _unpacked(MOVE_REQUEST, payload)
        try:
            controller, generator = ControllerMode(int(numbers[0])), Generator(int(numbers[1]))
        except ValueError:
            return MoveStatus.INVALID_ARGUMENT
        self._motion = _Motion(number, controller, generator)
        self._command, self._missing = None, -_GRACE_CYCLES
        self.mode, self.last_errors = RobotMode.MOVE, ()
        self.point.joints = list(self._joints)
        return MoveStatus.STARTED

    def _end_motion(self, status: MoveStatus, mode: RobotMode) -> None:
        motion, self._motion, self._command = self._motion, None, None
        self._torques = _NO_TORQUES
        if motion is not None:
            self.mode = mode
            self._arrived.clear()
            self.answers.append(self.stream.answer(Command.MOVE, motion.number, status))

    def _recover(self) -> int:
        if self.mode is RobotMode.USER_STOPPED:
            return 1  # not possible
        self.errors, self.mode = (), RobotMode.IDLE
        return 0

    def _count_commands(self) -> None:
        if self._motion is None:
            return
        if self._missing >= 0:
            self._arrived.append(self._missing == 0)
        if self._missing > self._lost_commands:
            self.reflex(Error.COMMUNICATION_CONSTRAINTS)
        self._missing += 1

    def _move(self) -> None:
        """Advance the set-point."""
        motion, command = self._motion, self._command
        self._external = _NO_TORQUES
        if motion is None or command is None:
            self.point.brake(CYCLE_S)
            return
        if motion.controller is ControllerMode.EXTERNAL:
            self._torques = command.torques
            self._external = self._hand_torques()
            self.point.push(map(add, self._torques, self._external), CYCLE_S)
        else:
            wanted = joint_velocities(
                motion.generator,
                command,
                np.array(self.point.joints),
                self._nominal_from_ee,
                self._kinematics,
                CYCLE_S,
            ).tolist()
            if _any_beyond(wanted, self._most_speed):
                self.reflex(Error.JOINT_GENERATOR_VELOCITY_LIMITS)
                return
            self.point.follow(wanted, CYCLE_S)
        if self.blocked_at is not None:
            self._external = [-torque for torque in self._torques]
        self._watch_limits()

    def _yield_to_a_hold(self) -> None:
        """Keep the set-point near an arm that something holds, and at it once nothing moves."""
        if self.blocked_at is not None and self._motion is None:
            self.point = SetPoint(list(self._joints), [0.0] * 7)
        self.point.stay_near(self._joints)

    def _watch_limits(self) -> None:
        joints, robot = self.point.joints, self._robot
        if _any_beyond(self._external, self._collision_nm):
            self.reflex(Error.JOINT_REFLEX)
        elif _any_beyond(self.push.tolist(), self._collision_n):
            self.reflex(Error.CARTESIAN_REFLEX)
        elif any(map(lt, joints, robot.lower_rad)) or any(map(gt, joints, robot.upper_rad)):
            self.reflex(Error.JOINT_POSITION_LIMITS)
        elif _any_beyond(self.point.velocities, self._most_speed):
            self.reflex(Error.JOINT_VELOCITY)


def _any_beyond(numbers: Iterable[float], limits: Iterable[float]) -> bool:
    return any(map(gt, map(abs, numbers), limits))


def _unpacked(layout: struct.Struct, payload: bytes) -> tuple[float, ...]:
    """Return the numbers at the beginning of a request; newer clients append further ones.

    Raises:
        ValueError: If it is shorter.
    """
    if len(payload) < layout.size:
        raise ValueError(f"a request has {len(payload)} bytes; expected {layout.size}")
    return layout.unpack_from(payload)


def _matrix(pose: Pose) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_quaternion(pose.quaternion)
    matrix[:3, 3] = pose.position
    return matrix
