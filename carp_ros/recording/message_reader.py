"""What frames are made of, read from its messages, or why a message is not what its topic promises.

The one judge of messages: asked while an episode is recorded, when it can still be mended, and when
it is converted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from carp_ros.errors import MessageError
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
_MEASURED_WITHIN = 0.1  # how far a gripper's measured opening may lie beyond its two ends


class MessageReader:
    """Reads one episode's messages.

    Args:
        robot: Whose joints and frame they are about.
        cameras: Whose images are read.
    """

    def __init__(self, robot: Robot, cameras: Sequence[str]) -> None:
        self._sizes_px: dict[str, tuple[int, int]] = {}
        self._readers: dict[str, Callable[[bytes], Any]] = {
            "/joint_states": lambda cdr: _joints(cdr, robot.joint_names),
            "/tool_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/target_pose": lambda cdr: read_pose(cdr, robot.base_frame),
            "/gripper_state": _opening,
            "/gripper_command": _command,
        }
        for camera in cameras:
            for name, kind in (("image_raw", IMAGE), ("image_raw/compressed", JPEG)):
                self._readers[f"/{camera}/{name}"] = self._image_reader(camera, kind)

    def __contains__(self, topic: str) -> bool:
        """Tell whether a topic's messages are read here."""
        return topic in self._readers

    def read(self, topic: str, cdr: bytes) -> Any:
        """Return a message's value: joints, a pose, an opening or a picture.

        Raises:
            MessageError: If it is not what its topic promises.
        """
        try:
            return self._readers[topic](cdr)
        except MessageError:
            raise
        except Exception as error:  # of a library, about this message
            raise MessageError(in_words(error)) from error

    def _image_reader(self, camera: str, kind: str) -> Callable[[bytes], Picture]:
        def read(cdr: bytes) -> Picture:
            image = decode_image(kind, cdr)
            height_px, width_px = image.shape[:2]
            size_px = self._sizes_px.setdefault(camera, (width_px, height_px))
            if size_px != (width_px, height_px):
                raise MessageError(
                    f"image is of {width_px}x{height_px} px, the first of the episode was of"
                    f" {size_px[0]}x{size_px[1]} px; expected one size"
                )
            return image

        return read


def read_pose(cdr: bytes, frame: str) -> Pose:
    """Return a pose of an arm's tool that is given in `frame`.

    Raises:
        MessageError: If it is in another frame, a number is not finite or no arm reaches there, or
            the quaternion is not of unit length.
    """
    pose = decode_pose(cdr, frame)
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


def _joints(cdr: bytes, names: tuple[str, ...]) -> Array:
    joints = decode_joints(cdr, names)
    if np.abs(joints).max() > _FARTHEST_RAD:
        raise MessageError(
            f"joint state is {joints.tolist()} rad; expected at most {_FARTHEST_RAD:.0f} rad: are"
            " these degrees?"
        )
    return joints


def _opening(cdr: bytes) -> float:
    opening = decode_number(cdr)
    if not -_MEASURED_WITHIN <= opening <= 1.0 + _MEASURED_WITHIN:  # also false for NaN
        raise MessageError(
            f"gripper opening is {opening}; expected a finite number, 0 (open) to 1 (closed): scale"
            " it in the gripper's driver"
        )
    return opening


def _command(cdr: bytes) -> float:
    opening = decode_number(cdr)
    if not 0.0 <= opening <= 1.0:  # also false for NaN
        raise MessageError(f"gripper command is {opening}; expected 0 (open) to 1 (closed)")
    return opening
