"""Judges the serialized messages of an episode exactly as they are written.

The conversion's own code decodes every message and makes frames with the defaults of
`carp convert`, but without images, so that the verdict says whether a dataset would accept the
episode.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from carp_ros.errors import EpisodeError, MessageError
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.clock_watch import ClockWatch
from carp_ros.recording.findings import Finding
from carp_ros.recording.frames import DEFAULT_RATE_HZ, FrameMaker
from carp_ros.recording.message_reader import MessageReader
from carp_ros.recording.messages import Image, decode_text, decode_twist
from carp_ros.recording.quality import Quality, QualityMonitor
from carp_ros.recording.video_size import require_size
from carp_ros.refusal import in_words
from carp_ros.rig import Rig
from carp_ros.types import Pose

_STAMP_END = 12  # bytes of encapsulation and stamp, which differ even if the pixels are equal


class MessageJudge:
    """Judges one episode from its serialized messages.

    Args:
        rig: The cameras, rates and limits that the episode must match.
        began_ns: When recording began.
    """

    def __init__(self, rig: Rig, began_ns: int) -> None:
        self._frame = rig.robot.base_frame
        self._monitor = QualityMonitor(rig, began_ns)
        cameras = tuple(rig.cameras)
        slowest_hz = min((camera.rate_hz for camera in rig.cameras.values()), default=1.0)
        rate_hz = max(1, min(DEFAULT_RATE_HZ, int(slowest_hz)))
        self._reader = MessageReader(rig.robot, cameras)
        self._maker = (
            FrameMaker(rig.robot, cameras, cameras[0], rate_hz, SKEW_S) if cameras else None
        )
        self._clock = ClockWatch()
        self._no_frames = ""
        self._takers: dict[str, Callable[[int, int, bytes, Any], None]] = {
            "/joint_states": self._take_joints,
            "/tool_pose": self._take_tcp_pose,
            "/target_pose": self._take_target,
            "/gripper_state": self._take_gripper,
            "/teleop/twist": self._take_twist,
            "/control/status": self._take_status,
        }
        for camera in cameras:
            for name in ("image_raw", "image_raw/compressed"):
                self._takers[f"/{camera}/{name}"] = self._image_taker(camera)

    def take(self, topic: str, stamp_ns: int, received_ns: int, cdr: bytes) -> Any:
        """Judge a message; one that can't be read counts as missing.

        Returns:
            The value (joints, a pose, a number or an image); None if datasets do not use the topic
            or the message can't be read.
        """
        try:
            value = self._reader.read(topic, cdr) if topic in self._reader else None
            if topic in self._takers:
                self._takers[topic](stamp_ns, received_ns, cdr, value)
        except Exception as error:  # whatever it is, it concerns only this message
            self._monitor.take_unreadable(topic, in_words(error))
            return None
        if value is not None:
            self._clock.take(topic, stamp_ns)
            self._make_frames(topic, stamp_ns, value)
        return value

    def take_depth(self, camera: str, stamp_ns: int, received_ns: int) -> None:
        """Judge when a camera's depth came; no dataset has it."""
        self._monitor.take_depth(camera, stamp_ns, received_ns)

    def take_unreadable(self, topic: str, reason: str) -> None:
        """Count a message that is invalid for its topic."""
        self._monitor.take_unreadable(topic, reason)

    def take_loss(self, messages: int) -> None:
        """Count messages that arrived but could not be written."""
        self._monitor.take_loss(messages)

    def quality(self, now_ns: int) -> Quality:
        """Return the recording's quality if it ended now."""
        return self._monitor.quality(now_ns, tuple(self._findings()))

    def _findings(self) -> Iterator[Finding]:
        if self._clock.problem:
            yield Finding("red", self._clock.problem)
        elif reason := self._no_frames or self._no_end():
            yield Finding("red", f"no dataset would take it: {reason}")

    def _make_frames(self, topic: str, stamp_ns: int, value: Any) -> None:
        """Make the frames that are due and discard them; only errors matter."""
        if self._maker is None or self._no_frames:
            return
        try:
            # frames need no pixels here, and the buffer would keep them for 1.5 s
            kept = value if isinstance(value, (Pose, float)) or value.ndim == 1 else None
            for _ in self._maker.take(topic, stamp_ns, kept):
                pass
        except EpisodeError as error:
            self._no_frames = str(error)

    def _no_end(self) -> str:
        if self._maker is None:
            return "the rig has no cameras"
        try:
            self._maker.require_end()
        except EpisodeError as error:
            return str(error)
        return ""

    def _image_taker(self, camera: str) -> Callable[[int, int, bytes, Any], None]:
        def take(stamp_ns: int, received_ns: int, cdr: bytes, image: Image) -> None:
            try:
                require_size(image.shape[1], image.shape[0])
            except ValueError as error:
                raise MessageError(str(error)) from error
            fingerprint = zlib.crc32(memoryview(cdr)[_STAMP_END:])
            self._monitor.take_image(camera, stamp_ns, received_ns, fingerprint)

        return take

    def _take_joints(self, stamp_ns: int, received_ns: int, cdr: bytes, joints: Any) -> None:
        self._monitor.take_joints(stamp_ns, received_ns)

    def _take_tcp_pose(self, stamp_ns: int, received_ns: int, cdr: bytes, tool: Pose) -> None:
        self._monitor.take_tcp_pose(stamp_ns, received_ns, tool)

    def _take_target(self, stamp_ns: int, received_ns: int, cdr: bytes, target: Pose) -> None:
        self._monitor.take_target(stamp_ns, received_ns, target)

    def _take_gripper(self, stamp_ns: int, received_ns: int, cdr: bytes, closure: float) -> None:
        self._monitor.take_gripper(stamp_ns, closure)

    def _take_twist(self, stamp_ns: int, received_ns: int, cdr: bytes, _: Any) -> None:
        self._monitor.take_twist(decode_twist(cdr, self._frame))

    def _take_status(self, stamp_ns: int, received_ns: int, cdr: bytes, _: Any) -> None:
        status = json.loads(decode_text(cdr))
        if not isinstance(status, dict):
            raise MessageError(f"status is {type(status).__name__}; expected JSON with fault")
        self._monitor.take_status(status)
