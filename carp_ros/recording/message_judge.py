"""Feeds serialized messages to a `QualityMonitor`: what is judged is what is written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

from carp_ros.errors import CarpError
from carp_ros.recording.messages import (
    decode_number,
    decode_pose,
    decode_text,
    decode_twist,
)
from carp_ros.recording.quality import Quality, QualityMonitor
from carp_ros.rig import Rig

_STAMP_END = 12  # encapsulation and the header's stamp, which differ in equal pictures, come first


class MessageJudge:
    """Judges one episode from its messages as they are on the wire.

    Args:
        rig: What is promised.
        began_ns: When recording began.
    """

    def __init__(self, rig: Rig, began_ns: int) -> None:
        self._frame = rig.robot.base_frame
        self._monitor = QualityMonitor(rig, began_ns)
        self._takers: dict[str, Callable[[int, int, bytes], None]] = {
            "/joint_states": self._take_joints,
            "/tool_pose": self._take_tool,
            "/target_pose": self._take_target,
            "/gripper_state": self._take_gripper,
            "/teleop/twist": self._take_twist,
            "/control/status": self._take_status,
        }
        for camera in rig.cameras:
            for name in ("image_raw", "image_raw/compressed"):
                self._takers[f"/{camera}/{name}"] = self._image_taker(camera)

    def take(self, topic: str, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        """Take note of a message; what cannot be read counts as one that never came."""
        taker = self._takers.get(topic)
        if taker is None:
            return
        try:
            taker(stamp_ns, received_ns, cdr)
        except CarpError:
            self._monitor.take_unreadable(topic)

    def take_unreadable(self, topic: str) -> None:
        """Take note of a message that is not what its topic promises."""
        self._monitor.take_unreadable(topic)

    def take_loss(self, messages: int) -> None:
        """Take note of messages that arrived and could not be written."""
        self._monitor.take_loss(messages)

    def quality(self, now_ns: int) -> Quality:
        """Return how good the recording is, if it ends now."""
        return self._monitor.quality(now_ns)

    def _image_taker(self, camera: str) -> Callable[[int, int, bytes], None]:
        def take(stamp_ns: int, received_ns: int, cdr: bytes) -> None:
            fingerprint = zlib.crc32(memoryview(cdr)[_STAMP_END:])
            self._monitor.take_image(camera, stamp_ns, received_ns, fingerprint)

        return take

    def _take_joints(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        self._monitor.take_joints(stamp_ns, received_ns)

    def _take_tool(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        self._monitor.take_tool(stamp_ns, received_ns, decode_pose(cdr, self._frame))

    def _take_target(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        self._monitor.take_target(stamp_ns, received_ns, decode_pose(cdr, self._frame))

    def _take_gripper(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        self._monitor.take_gripper(stamp_ns, decode_number(cdr))

    def _take_twist(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        self._monitor.take_twist(decode_twist(cdr, self._frame))

    def _take_status(self, stamp_ns: int, received_ns: int, cdr: bytes) -> None:
        text = decode_text(cdr)
        try:
            self._monitor.take_status(json.loads(text))
        except ValueError:
            self._monitor.take_unreadable("/control/status")
