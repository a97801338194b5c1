"""Turns an episode's messages into the frames of a dataset.

A frame's observation comes from the same `ObservationBuffer` that feeds a live policy; its action
is the target commanded at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

from carp_ros.errors import EpisodeError, MessageError
from carp_ros.inference.layout import vector_from_tcp_pose
from carp_ros.inference.observation import (
    STATE_GAP_S,
    ObservationBuffer,
    pose_between,
)
from carp_ros.inference.track import Track
from carp_ros.recording.frame_grid import FrameGrid
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.message_reader import MessageReader, Reader
from carp_ros.robots import Robot
from carp_ros.types import Array, Observation, Pose

DEFAULT_RATE_HZ = 10
"""Frames per second of a dataset, by default."""

_HISTORY_S = 1.5  # longer than the grid waits before it asks for a frame


@dataclass(frozen=True, slots=True)
class Frame:
    """One row of a dataset: the observation, and the target commanded at that time.

    `action` is `[x y z, rot6d, gripper]`, as in `inference/layout.py`.
    """

    observation: Observation
    action: Array


class FrameMaker:
    """Turns one episode's messages, in order of arrival, into frames.

    Args:
        robot: The arm whose joints and base frame the messages refer to.
        cameras: The cameras whose images a frame has.
        reference: The camera whose capture times are the frames' times.
        rate_hz: Frames per second.
        skew_s: The furthest that an image's capture may be from its frame's time.
        reader: Decodes the messages; None reads those of `carp record`.
        wrench: Whether observations have the measured wrench.
    """

    def __init__(
        self,
        robot: Robot,
        cameras: tuple[str, ...],
        reference: str,
        rate_hz: float,
        skew_s: float,
        reader: Reader | None = None,
        *,
        wrench: bool = False,
    ) -> None:
        self._reader = reader or MessageReader(robot, cameras)
        self._buffer = ObservationBuffer(cameras, reference, skew_s, _HISTORY_S, wrench=wrench)
        self._targets = Track[Pose]("target pose", _HISTORY_S, STATE_GAP_S)
        self._closures = Track[float]("gripper command", _HISTORY_S, STATE_GAP_S)
        self._grid = FrameGrid(rate_hz, skew_s, self._frame_at)
        self._takers: dict[str, Callable[[int, Any], None]] = {
            "/joint_states": self._buffer.take_joints,
            "/tool_pose": self._buffer.take_tcp_pose,
            "/gripper_state": self._buffer.take_gripper,
            "/target_pose": self._targets.take,
            "/gripper_command": self._closures.take,
        }
        for camera in cameras:
            self._takers[f"/{camera}/image_raw"] = self._image_taker(camera, camera == reference)
        self._missing = set(self._takers)
        self._takers["/wrench"] = self._buffer.take_wrench
        if wrench:  # episodes recorded earlier, or of an arm that does not measure it, have none
            self._missing.add("/wrench")
        self._newest_ns = self._made = 0

    def __contains__(self, topic: str) -> bool:
        """Return whether frames are made from a topic's messages."""
        return topic in self._reader

    def frames(self, messages: Iterable[Message]) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            EpisodeError: If a topic is missing or a message invalid, if a frame lacks data, or if
                there is no frame at all.
        """
        start_ns = 0
        for topic, stamp_ns, cdr in messages:
            if topic not in self:
                continue
            start_ns = start_ns or stamp_ns
            try:
                readings = list(self._reader.readings(topic, stamp_ns, cdr))
            except MessageError as error:
                after_s = (stamp_ns - start_ns) * 1e-9
                raise EpisodeError(f"{topic} at {after_s:.2f} s: {error}") from error
            for reading in readings:
                yield from self.take(*reading)
        yield from self._ended(self._grid)

    def take(self, topic: str, stamp_ns: int, value: Any) -> Iterator[Frame]:
        """Add a `Reader`'s reading, and yield the frames whose data have all arrived.

        Raises:
            EpisodeError: If a frame between two others is missing.
        """
        name = topic.removesuffix("/compressed")
        self._missing.discard(name)
        self._takers[name](stamp_ns, value)
        self._newest_ns = max(self._newest_ns, stamp_ns)
        for frame in self._grid.frames(self._newest_ns):
            self._made += 1
            yield frame

    def require_end(self) -> None:
        """Check that the episode could end now; more messages may still follow.

        Raises:
            EpisodeError: As `frames` raises at the end.
        """
        for _ in self._ended(copy(self._grid)):
            pass

    def _ended(self, grid: FrameGrid[Frame]) -> Iterator[Frame]:
        if self._missing:
            missing = map(self._reader.named, sorted(self._missing))
            raise EpisodeError(f"no message on {', '.join(missing)}")
        made = self._made
        for frame in grid.last_frames():
            made += 1
            yield frame
        if not made:
            raise EpisodeError(f"not one frame: {grid.problem}")

    def _frame_at(self, stamp_ns: int) -> Frame | str:
        observation = self._buffer.at(stamp_ns)
        if isinstance(observation, str):
            return observation
        target = self._targets.between(stamp_ns, pose_between)
        if isinstance(target, str):
            return target
        closure = self._closures.between(stamp_ns, _number_between)
        if isinstance(closure, str):
            return closure
        return Frame(observation, vector_from_tcp_pose(target, closure))

    def _image_taker(self, camera: str, decides: bool) -> Callable[[int, Any], None]:
        def take(stamp_ns: int, image: Any) -> None:
            self._buffer.take_image(camera, stamp_ns, image)
            if decides:
                self._grid.take(stamp_ns)

        return take


def _number_between(start: float, end: float, fraction: float) -> float:
    """Interpolate linearly between two numbers."""
    return start + fraction * (end - start)
