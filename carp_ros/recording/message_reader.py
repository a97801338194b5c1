"""Decodes and validates the messages that frames are made of.

Recording and conversion share this code, so that the operator learns of a bad message while it can
still be fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from carp_ros.errors import MessageError
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.messages import (
    IMAGE,
    JPEG,
    Image,
    decode_image,
    decode_joints,
    decode_number,
    decode_pose,
    decode_wrench,
)
from carp_ros.refusal import in_words
from carp_ros.robots import Robot
from carp_ros.types import MOST_FORCE_N, MOST_TORQUE_NM, Array, Pose

_FARTHEST_M, _FARTHEST_RAD = 10.0, 100.0  # beyond any arm: such a number has the wrong unit
_UNIT_WITHIN = 1e-3  # the same tolerance as for a chunk's quaternions
_MEASURED_WITHIN = 0.1  # how far a gripper's measured closure may exceed 0 to 1


Reading = tuple[str, int, Any]
"""Our name of the topic, stamp in [ns], and the value: joints, a pose, a wrench, a closure or an
image."""


class Reader(Protocol):
    """Reads the messages of one episode, whatever its topic names."""

    def stamped(self, message: Message) -> Message | None:
        """Return a recorded message with the time at which its content was valid.

        None if the topic is not used.

        Raises:
            MessageError: If that time can't be determined.
        """
        ...

    def __contains__(self, topic: str) -> bool:
        """Return whether a topic's messages are read."""
        ...

    def named(self, stream: str) -> str:
        """Return the recording's own name of one of our topics, for error messages."""
        ...

    def readings(self, topic: str, stamp_ns: int, cdr: bytes) -> Iterable[Reading]:
        """Return a message's readings.

        Raises:
            MessageError: If the message is invalid for its topic.
        """
        ...


class MessageReader:
    """Reads an episode of `carp record`.

    Args:
        robot: The arm whose joints and base frame the messages refer to.
        cameras: The cameras whose images are read.
    """

    def __init__(self, robot: Robot, cameras: Sequence[str]) -> None:
        self._readers: dict[str, Callable[[bytes], Any]] = {
            "/joint_states": lambda cdr: require_joints(decode_joints(cdr, robot.joint_names)),
            "/tool_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/target_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/wrench": lambda cdr: require_wrench(decode_wrench(cdr)),
            "/gripper_state": lambda cdr: require_closure(decode_number(cdr)),
            "/gripper_command": lambda cdr: require_command(decode_number(cdr)),
        }
        for camera in cameras:
            one_size = SameSize()
            for name, kind in (("image_raw", IMAGE), ("image_raw/compressed", JPEG)):
                self._readers[f"/{camera}/{name}"] = _image_reader(kind, one_size)

    def stamped(self, message: Message) -> Message:
        """Return the message unchanged: the recorder has already stamped it."""
        return message

    def __contains__(self, topic: str) -> bool:
        """Return whether a topic's messages are read."""
        return topic in self._readers

    def named(self, stream: str) -> str:
        """Return the topic itself."""
        return stream

    def readings(self, topic: str, stamp_ns: int, cdr: bytes) -> Iterable[Reading]:
        """Return a message's value with its topic and stamp.

        Raises:
            MessageError: If the message is invalid for its topic.
        """
        return ((topic.removesuffix("/compressed"), stamp_ns, self.read(topic, cdr)),)

    def read(self, topic: str, cdr: bytes) -> Any:
        """Return a message's value: joints, a pose, a wrench, a closure or an image.

        Raises:
            MessageError: If the message is invalid for its topic.
        """
        try:
            return self._readers[topic](cdr)
        except MessageError:
            raise
        except Exception as error:  # raised by a library because of this message
            raise MessageError(in_words(error)) from error


class SameSize:
    """Requires that all images of one camera have the size of the first."""

    def __init__(self) -> None:
        self._size_px: tuple[int, int] | None = None

    def require(self, image: Image) -> Image:
        """Return the image if it has that size.

        Raises:
            MessageError: If it has another size.
        """
        height_px, width_px = image.shape[:2]
        self._size_px = self._size_px or (width_px, height_px)
        if self._size_px != (width_px, height_px):
            raise MessageError(
                f"image is of {width_px}x{height_px} px, the first of the episode was of"
                f" {self._size_px[0]}x{self._size_px[1]} px; expected one size"
            )
        return image


def _image_reader(kind: str, one_size: SameSize) -> Callable[[bytes], Image]:
    return lambda cdr: one_size.require(decode_image(kind, cdr))


def read_pose(cdr: bytes, frame: str) -> Pose:
    """Decode a tool pose given in `frame`.

    Raises:
        MessageError: If it is given in another frame, or as `require_pose` raises.
    """
    return require_pose(decode_pose(cdr, frame))


def require_pose(pose: Pose) -> Pose:
    """Return a tool pose if it is plausible.

    Raises:
        MessageError: If a number is not finite, the position is out of any arm's reach, or the
            quaternion does not have unit length.
    """
    position, quaternion = pose.position.tolist(), pose.quaternion.tolist()
    length = math.hypot(*quaternion)
    if not all(map(math.isfinite, (*position, *quaternion))):
        raise MessageError(f"pose is {[*position, *quaternion]}; expected finite numbers")
    if max(map(abs, position)) > _FARTHEST_M:
        raise MessageError(
            f"pose is at {position} m; expected within {_FARTHEST_M:.0f} m of the robot's base: are"
            " these metres?"
        )
    if abs(length - 1.0) > _UNIT_WITHIN:
        raise MessageError(
            f"pose has the quaternion {quaternion} of length {length:.4g}; expected length 1"
        )
    return pose


def require_joints(joints: Array) -> Array:
    """Return joint positions in [rad] if they are plausible.

    Raises:
        MessageError: If one is far beyond any joint.
    """
    if np.abs(joints).max() > _FARTHEST_RAD:
        raise MessageError(
            f"joint state is {joints.tolist()} rad; expected at most {_FARTHEST_RAD:.0f} rad: are"
            " these degrees?"
        )
    return joints


def require_wrench(wrench: Array) -> Array:
    """Return a measured wrench of shape (6,) in [N] and [Nm] if it is plausible.

    Raises:
        MessageError: If a number is not finite, or beyond what any arm withstands.
    """
    force_n, torque_nm = float(np.abs(wrench[:3]).max()), float(np.abs(wrench[3:]).max())
    if not (force_n <= MOST_FORCE_N and torque_nm <= MOST_TORQUE_NM):  # also false for NaN
        raise MessageError(
            f"wrench is {wrench.tolist()} N, Nm; expected finite numbers of at most"
            f" {MOST_FORCE_N:g} N and {MOST_TORQUE_NM:g} Nm"
        )
    return wrench


def require_closure(closure: float) -> float:
    """Return a gripper's measured closure, which may lie slightly outside 0 to 1.

    Raises:
        MessageError: If it is far outside, or not a number.
    """
    if not -_MEASURED_WITHIN <= closure <= 1.0 + _MEASURED_WITHIN:  # also false for NaN
        raise MessageError(
            f"gripper closure is {closure}; expected a finite number, 0 (open) to 1 (closed): scale"
            " it in the gripper's driver"
        )
    return closure


def require_command(closure: float) -> float:
    """Return a gripper's commanded closure.

    Raises:
        MessageError: If it is not within 0 to 1.
    """
    if not 0.0 <= closure <= 1.0:  # also false for NaN
        raise MessageError(f"gripper command is {closure}; expected 0 (open) to 1 (closed)")
    return closure
