"""An episode's messages, turned into the frames of a dataset.

What a frame shows comes from the `ObservationBuffer`, fed as the live policy's is; what was done at
that time, from the commanded targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from carp_ros.errors import EpisodeError, MessageError
from carp_ros.inference.layout import vector_from_tool
from carp_ros.inference.observation import (
    STATE_GAP_S,
    ObservationBuffer,
    pose_between,
)
from carp_ros.inference.track import Track
from carp_ros.recording.frame_grid import FrameGrid
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.messages import (
    IMAGE,
    JPEG,
    decode_image,
    decode_joints,
    decode_number,
    decode_pose,
)
from carp_ros.robots import Robot
from carp_ros.types import Array, Observation, Pose

_HISTORY_S = 1.5  # more than the grid lets pass before it asks


@dataclass(frozen=True, slots=True)
class Frame:
    """One row of a dataset: what was seen and measured, and the target commanded at that time.

    `action` is `[x y z, rot6d, gripper]`, as in `inference/layout.py`.
    """

    observation: Observation
    action: Array


class FrameMaker:
    """Takes one episode's messages in their order and makes frames of them.

    Args:
        robot: Whose joints and frame the messages are about.
        cameras: Whose images a frame has.
        reference: The camera whose capture times are the frames'.
        rate_hz: Frames per second.
        skew_s: How far from a frame's time an image may have been captured.
    """

    def __init__(
        self, robot: Robot, cameras: tuple[str, ...], reference: str, rate_hz: float, skew_s: float
    ) -> None:
        self._robot = robot
        self._reference = reference
        self._buffer = ObservationBuffer(cameras, reference, skew_s, _HISTORY_S)
        self._targets = Track[Pose]("target pose", _HISTORY_S, STATE_GAP_S)
        self._openings = Track[float]("gripper command", _HISTORY_S, STATE_GAP_S)
        self._grid = FrameGrid(rate_hz, self._frame_at)
        self._takers: dict[str, Callable[[int, bytes], None]] = {
            "/joint_states": self._take_joints,
            "/tool_pose": self._take_tool,
            "/gripper_state": self._take_gripper,
            "/target_pose": self._take_target,
            "/gripper_command": self._take_opening,
        }
        for camera in cameras:
            self._takers[f"/{camera}/image_raw"] = self._image_taker(camera, IMAGE)
            self._takers[f"/{camera}/image_raw/compressed"] = self._image_taker(camera, JPEG)
        self._missing = {name.removesuffix("/compressed") for name in self._takers}

    def frames(self, messages: Iterable[Message]) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            EpisodeError: If a topic is missing or a message is not what its topic promises, if a
                moment lacks what a frame needs, or if there is no frame at all.
        """
        start_ns = newest_ns = made = 0
        for topic, stamp_ns, cdr in messages:
            take = self._takers.get(topic)
            if take is None:
                continue
            self._missing.discard(topic.removesuffix("/compressed"))
            start_ns = start_ns or stamp_ns
            try:
                take(stamp_ns, cdr)
            except MessageError as error:
                after_s = (stamp_ns - start_ns) * 1e-9
                raise EpisodeError(f"{topic} at {after_s:.2f} s: {error}") from error
            newest_ns = max(newest_ns, stamp_ns)
            for frame in self._grid.frames(newest_ns):
                made += 1
                yield frame
        if self._missing:
            raise EpisodeError(f"no message on {', '.join(sorted(self._missing))}")
        for frame in self._grid.last_frames():
            made += 1
            yield frame
        if not made:
            raise EpisodeError(f"not one frame: {self._grid.problem}")

    def _frame_at(self, stamp_ns: int) -> Frame | str:
        observation = self._buffer.at(stamp_ns)
        if isinstance(observation, str):
            return observation
        target = self._targets.between(stamp_ns, pose_between)
        if isinstance(target, str):
            return target
        opening = self._openings.between(stamp_ns, _number_between)
        if isinstance(opening, str):
            return opening
        return Frame(observation, vector_from_tool(target, opening))

    def _take_joints(self, stamp_ns: int, cdr: bytes) -> None:
        self._buffer.take_joints(stamp_ns, decode_joints(cdr, self._robot.joint_names))

    def _take_tool(self, stamp_ns: int, cdr: bytes) -> None:
        self._buffer.take_tool(stamp_ns, self._pose(cdr))

    def _take_gripper(self, stamp_ns: int, cdr: bytes) -> None:
        opening = decode_number(cdr)
        if not math.isfinite(opening):
            raise MessageError(f"gripper opening is {opening}; expected a finite number")
        self._buffer.take_gripper(stamp_ns, opening)

    def _take_target(self, stamp_ns: int, cdr: bytes) -> None:
        self._targets.take(stamp_ns, self._pose(cdr))

    def _take_opening(self, stamp_ns: int, cdr: bytes) -> None:
        opening = decode_number(cdr)
        if not 0.0 <= opening <= 1.0:  # also false for NaN
            raise MessageError(f"gripper command is {opening}; expected 0 (open) to 1 (closed)")
        self._openings.take(stamp_ns, opening)

    def _image_taker(self, camera: str, kind: str) -> Callable[[int, bytes], None]:
        def take(stamp_ns: int, cdr: bytes) -> None:
            self._buffer.take_image(camera, stamp_ns, decode_image(kind, cdr))
            if camera == self._reference:
                self._grid.take(stamp_ns)

        return take

    def _pose(self, cdr: bytes) -> Pose:
        pose = decode_pose(cdr, self._robot.base_frame)
        numbers = np.concatenate([pose.position, pose.quaternion])
        if not np.isfinite(numbers).all():
            raise MessageError(f"pose is {numbers.tolist()}; expected finite numbers")
        return pose


def _number_between(start: float, end: float, fraction: float) -> float:
    """Return the number a fraction of the way, linearly."""
    return start + fraction * (end - start)
