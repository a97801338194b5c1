"""The wire format of the Franka Control Interface: little-endian, packed.

Source: what libfranka 0.21 (research interface, version 10; gripper, version 3) sends and accepts.
Commands go over TCP, each with a header and the sender's number, which the answer repeats. Every
millisecond the controller sends its state over UDP and gets a command back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

ROBOT_PORT, HAND_PORT = 1337, 1338
ROBOT_VERSION, HAND_VERSION = 10, 3
STATE_SIZE, COMMAND_SIZE = 1377, 371
ERROR_COUNT = 41
_LARGEST_MESSAGE = 1 << 16

CONNECT_REQUEST = struct.Struct("<HH")  # version, the client's UDP port
CONNECT_ANSWER = struct.Struct("<HH4x")  # status, version
MOVE_REQUEST = struct.Struct("<II6d")  # controller, generator, deviations
COLLISION_REQUEST = struct.Struct("<7d7d7d7d6d6d6d6d")
TRANSFORM_REQUEST = struct.Struct("<16d")
HAND_MOVE_REQUEST = struct.Struct("<2d")  # width [m], speed [m/s]
HAND_GRASP_REQUEST = struct.Struct("<5d")  # width, inner and outer epsilon [m], speed, force [N]
HAND_STATE = struct.Struct("<Idd?H")  # number, width and largest width [m], grasped, [deg C]
_ROBOT_HEADER, _HAND_HEADER = struct.Struct("<III"), struct.Struct("<HII")
_COMMAND = struct.Struct("<Q7d7d16d6d2d??7d?")


class Command(IntEnum):
    """Requests to the arm."""

    CONNECT = 0
    MOVE = 1
    STOP_MOVE = 2
    SET_COLLISION_BEHAVIOR = 3
    SET_JOINT_IMPEDANCE = 4
    SET_CARTESIAN_IMPEDANCE = 5
    SET_GUIDING_MODE = 6
    SET_EE_TO_K = 7
    SET_NE_TO_EE = 8
    SET_LOAD = 9
    AUTOMATIC_ERROR_RECOVERY = 10
    GET_ROBOT_MODEL = 11


class HandCommand(IntEnum):
    """Requests to the hand."""

    CONNECT = 0
    HOMING = 1
    GRASP = 2
    MOVE = 3
    STOP = 4


class MoveStatus(IntEnum):
    """Answers to MOVE: one when the motion starts, another when it ends."""

    SUCCESS = 0
    STARTED = 1
    PREEMPTED = 2
    NOT_POSSIBLE = 5
    INVALID_ARGUMENT = 7
    REFLEX_ABORTED = 8
    EMERGENCY_ABORTED = 9
    ABORTED = 11


class HandStatus(IntEnum):
    """Answers of the hand."""

    SUCCESS = 0
    FAIL = 1
    UNSUCCESSFUL = 2
    ABORTED = 3


class ControllerMode(IntEnum):
    """Who turns set-points into torques; OTHER while nothing moves."""

    JOINT_IMPEDANCE = 0
    CARTESIAN_IMPEDANCE = 1
    EXTERNAL = 2
    OTHER = 3


class Generator(IntEnum):
    """Kind of set-points in a MOVE request. The state reports this number plus one, and 0 idle."""

    JOINT_POSITION = 0
    JOINT_VELOCITY = 1
    POSE = 2
    TWIST = 3
    NONE = 4


class RobotMode(IntEnum):
    """Modes of the robot."""

    OTHER = 0
    IDLE = 1
    MOVE = 2
    GUIDING = 3
    REFLEX = 4
    USER_STOPPED = 5
    AUTOMATIC_ERROR_RECOVERY = 6


class Error(IntEnum):
    """Those of libfranka's 41 errors that this controller raises, by their place in the state."""

    JOINT_POSITION_LIMITS = 0
    JOINT_VELOCITY = 3
    JOINT_REFLEX = 6
    CARTESIAN_REFLEX = 7
    JOINT_GENERATOR_VELOCITY_LIMITS = 13
    COMMUNICATION_CONSTRAINTS = 25


@dataclass(frozen=True, slots=True)
class MotionCommand:
    """A client's answer to one state.

    Attributes:
        joints, velocities, torques: Of shape (7,), in [rad], [rad/s], [Nm].
        pose: `base_from_ee`, 16 numbers column by column.
        twist: Of the end effector, in [m/s] and [rad/s].
        finished: Whether the motion ends with this command.
    """

    joints: tuple[float, ...]
    velocities: tuple[float, ...]
    pose: tuple[float, ...]
    twist: tuple[float, ...]
    torques: tuple[float, ...]
    finished: bool

    @classmethod
    def from_bytes(cls, data: bytes) -> MotionCommand | None:
        """Return the command in a datagram; None if it is none."""
        if len(data) != COMMAND_SIZE:
            return None
        numbers: tuple[Any, ...] = _COMMAND.unpack(data)
        return cls(
            joints=numbers[1:8],
            velocities=numbers[8:15],
            pose=numbers[15:31],
            twist=numbers[31:37],
            torques=numbers[41:48],
            finished=bool(numbers[40] or numbers[48]),
        )


class MessageStream:
    """Cuts what arrives over TCP into messages, and makes answers.

    Args:
        hand: Whether these are the messages of the hand, whose header and status differ.
    """

    def __init__(self, *, hand: bool = False) -> None:
        self._header = _HAND_HEADER if hand else _ROBOT_HEADER
        self._status = struct.Struct("<H") if hand else struct.Struct("<B")
        self._rest = b""

    def split(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield command, number and payload of each complete message.

        Raises:
            ValueError: If a header's size is impossible.
        """
        self._rest += data
        while len(self._rest) >= self._header.size:
            command, number, size = self._header.unpack_from(self._rest)
            if not self._header.size <= size <= _LARGEST_MESSAGE:
                raise ValueError(f"a message has {size} bytes; expected those of a request")
            if len(self._rest) < size:
                return
            payload, self._rest = self._rest[self._header.size : size], self._rest[size:]
            yield command, number, payload

    def answer(self, command: int, number: int, status: int, payload: bytes = b"") -> bytes:
        """Return the answer to the request with this number."""
        return self.message(command, number, self._status.pack(status) + payload)

    def message(self, command: int, number: int, payload: bytes) -> bytes:
        """Return a message."""
        return self._header.pack(command, number, self._header.size + len(payload)) + payload
