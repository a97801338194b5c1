"""What frames are made of, read from its messages, or why a message is not what its topic promises.

The one judge of messages: asked while an episode is recorded, when it can still be mended, and when
it is converted.
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
    Picture,
    decode_image,
    decode_joints,
    decode_number,
    decode_pose,
)
from carp_ros.refusal import in_words
from carp_ros.robots import Robot
from carp_ros.types import Array, Pose

_FARTHEST_M, _FARTHEST_RAD = 10.0, 100.0  # beyond any arm; such a number is of another unit
_UNIT_WITHIN = 1e-3  # as of a chunk's quaternions
_MEASURED_WITHIN = 0.1  # how far a gripper's measured closure may lie beyond its two ends


Reading = tuple[str, int, Any]
"""Our name of the topic, stamp in [ns], and the value: joints, a pose, a closure or a picture."""


class Reader(Protocol):
    """Reads the messages of one episode, whatever its topics are called."""

    def stamped(self, message: Message) -> Message | None:
        """Return a message as it was recorded with the time at which its content was so.

        None if nothing is made of it and its time says nothing.

        Raises:
            MessageError: If it does not say when.
        """
        ...

    def __contains__(self, topic: str) -> bool:
        """Tell whether a topic's messages are read here."""
        ...

    def named(self, stream: str) -> str:
        """Return what the person who recorded knows one of our topics as."""
        ...

    def readings(self, topic: str, stamp_ns: int, cdr: bytes) -> Iterable[Reading]:
        """Return what a message says.

        Raises:
            MessageError: If it is not what its topic promises.
        """
        ...


class MessageReader:
    """Reads an episode of `carp record`.

    Args:
        robot: Whose joints and frame the messages are about.
        cameras: Whose images are read.
    """

    def __init__(self, robot: Robot, cameras: Sequence[str]) -> None:
        self._readers: dict[str, Callable[[bytes], Any]] = {
            "/joint_states": lambda cdr: require_joints(decode_joints(cdr, robot.joint_names)),
            "/tool_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/target_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/gripper_state": lambda cdr: require_closure(decode_number(cdr)),
            "/gripper_command": lambda cdr: require_command(decode_number(cdr)),
        }
        for camera in cameras:
            one_size = OneSize()
            for name, kind in (("image_raw", IMAGE), ("image_raw/compressed", JPEG)):
                self._readers[f"/{camera}/{name}"] = _picture_reader(kind, one_size)

    def stamped(self, message: Message) -> Message:
        """Return a message as it is: the recorder has stamped it."""
        return message

    def __contains__(self, topic: str) -> bool:
        """Tell whether a topic's messages are read here."""
        return topic in self._readers

    def named(self, stream: str) -> str:
        """Return the topic itself."""
        return stream

    def readings(self, topic: str, stamp_ns: int, cdr: bytes) -> Iterable[Reading]:
        """Return a message's value with its topic and stamp.

        Raises:
            MessageError: If it is not what its topic promises.
        """
        return ((topic.removesuffix("/compressed"), stamp_ns, self.read(topic, cdr)),)

    def read(self, topic: str, cdr: bytes) -> Any:
        """Return a message's value: joints, a pose, a closure or a picture.

        Raises:
            MessageError: If it is not what its topic promises.
        """
        try:
            return self._readers[topic](cdr)
        except MessageError:
            raise
        except Exception as error:  # of a library, about this message
            raise MessageError(in_words(error)) from error


class OneSize:
    """The size that all pictures of one camera have: that of the first."""

    def __init__(self) -> None:
        self._size_px: tuple[int, int] | None = None

    def require(self, image: Picture) -> Picture:
        """Return a picture of that size.

        Raises:
            MessageError: If it is of another.
        """
        height_px, width_px = image.shape[:2]
        self._size_px = self._size_px or (width_px, height_px)
        if self._size_px != (width_px, height_px):
            raise MessageError(
                f"image is of {width_px}x{height_px} px, the first of the episode was of"
                f" {self._size_px[0]}x{self._size_px[1]} px; expected one size"
            )
        return image


def _picture_reader(kind: str, one_size: OneSize) -> Callable[[bytes], Picture]:
    return lambda cdr: one_size.require(decode_image(kind, cdr))


def read_pose(cdr: bytes, frame: str) -> Pose:
    """Return a pose of an arm's tool that is given in `frame`.

    Raises:
        MessageError: If it is in another frame, or as `require_pose` says.
    """
    return require_pose(decode_pose(cdr, frame))


def require_pose(pose: Pose) -> Pose:
    """Return a pose that an arm's tool may have.

    Raises:
        MessageError: If a number is not finite or no arm reaches there, or the quaternion is not of
            unit length.
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
    """Return joint positions in [rad] that an arm may have.

    Raises:
        MessageError: If one is far beyond any joint.
    """
    if np.abs(joints).max() > _FARTHEST_RAD:
        raise MessageError(
            f"joint state is {joints.tolist()} rad; expected at most {_FARTHEST_RAD:.0f} rad: are"
            " these degrees?"
        )
    return joints


def require_closure(closure: float) -> float:
    """Return how far a gripper is closed by its own measurement, which may be a little beyond.

    Raises:
        MessageError: If it is far beyond, or no number.
    """
    if not -_MEASURED_WITHIN <= closure <= 1.0 + _MEASURED_WITHIN:  # also false for NaN
        raise MessageError(
            f"gripper closure is {closure}; expected a finite number, 0 (open) to 1 (closed): scale"
            " it in the gripper's driver"
        )
    return closure


def require_command(closure: float) -> float:
    """Return what a gripper is told.

    Raises:
        MessageError: If it is not 0 to 1.
    """
    if not 0.0 <= closure <= 1.0:  # also false for NaN
        raise MessageError(f"gripper command is {closure}; expected 0 (open) to 1 (closed)")
    return closure
