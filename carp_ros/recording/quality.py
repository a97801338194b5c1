"""Judges an episode's recording quality during recording, so that its verdict is ready at the end.

Green is good, amber usable with care, red unusable; amber and red come with reasons in words. The
judged data are those that were recorded, after all transports and queues.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from carp_ros.recording.episode import Verdict
from carp_ros.recording.findings import Finding, Thresholds, judge
from carp_ros.recording.motion_quality import MotionQuality
from carp_ros.recording.stream_quality import FrozenImage, StreamQuality, skew_findings
from carp_ros.rig import Rig
from carp_ros.rig_cameras import cameras_with_depth
from carp_ros.types import Pose, Twist

STATE_RATE_HZ = 100.0
"""Rate at which the control node publishes joint states and tool poses."""


@dataclass(frozen=True)
class Quality:
    """The quality of a recording.

    Attributes:
        verdict: The worst finding's colour.
        reasons: All findings, the worst first.
        seconds: The episode's duration.
        received: Number of messages received, by camera or state topic.
        expected: Number expected between the first and the last message, by the same names.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    seconds: float
    received: dict[str, int]
    expected: dict[str, int]


class QualityMonitor:
    """Judges one episode from its messages.

    Args:
        rig: The cameras, rates and limits that the episode must match.
        began_ns: When recording began.
        thresholds: When a recording becomes amber or red.
    """

    def __init__(self, rig: Rig, began_ns: int, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._began_ns = began_ns
        self._cameras = {
            name: StreamQuality(name, camera.rate_hz, self._thresholds)
            for name, camera in rig.cameras.items()
        }
        self._frozen = {name: FrozenImage(name, self._thresholds) for name in rig.cameras}
        self._depths = {
            name: StreamQuality(f"{name} depth", rig.cameras[name].rate_hz, self._thresholds)
            for name in cameras_with_depth(rig.cameras)
        }
        self._states = {
            name: StreamQuality(name, STATE_RATE_HZ, self._thresholds)
            for name in ("joint_states", "tool_pose", "target_pose")
        }
        self._gripper_seen = False
        self._motion = MotionQuality(rig, self._thresholds)
        self._lost = 0
        self._unreadable: dict[str, int] = {}
        self._first_reason: dict[str, str] = {}

    def take_image(self, name: str, stamp_ns: int, received_ns: int, fingerprint: int) -> None:
        """Add a camera's image; equal fingerprints mean equal images."""
        self._cameras[name].take(stamp_ns, received_ns)
        self._frozen[name].take(stamp_ns, fingerprint, self._motion.motions)

    def take_depth(self, name: str, stamp_ns: int, received_ns: int) -> None:
        """Add a camera's depth image."""
        self._depths[name].take(stamp_ns, received_ns)

    def take_joints(self, stamp_ns: int, received_ns: int) -> None:
        """Add a joint state."""
        self._states["joint_states"].take(stamp_ns, received_ns)

    def take_tcp_pose(self, stamp_ns: int, received_ns: int, tool: Pose) -> None:
        """Add a measured tool pose."""
        self._states["tool_pose"].take(stamp_ns, received_ns)
        self._motion.take_tcp_pose(stamp_ns, tool)

    def take_target(self, stamp_ns: int, received_ns: int, target: Pose) -> None:
        """Add a commanded tool pose."""
        self._states["target_pose"].take(stamp_ns, received_ns)
        self._motion.take_target(stamp_ns, target.position)

    def take_gripper(self, stamp_ns: int, closure: float) -> None:
        """Add a measured gripper closure."""
        self._gripper_seen = True
        self._motion.take_gripper(stamp_ns, closure)

    def take_twist(self, twist: Twist) -> None:
        """Add a velocity that the operator asks for."""
        self._motion.take_twist(twist)

    def take_status(self, status: Mapping[str, Any]) -> None:
        """Add a `control/status`, whose faults are kept."""
        self._motion.take_status(status)

    def take_loss(self, messages: int) -> None:
        """Count messages that arrived but could not be written."""
        self._lost += messages

    def take_unreadable(self, topic: str, reason: str) -> None:
        """Count a message that is invalid for its topic, with the reason."""
        self._unreadable[topic] = self._unreadable.get(topic, 0) + 1
        self._first_reason.setdefault(topic, reason)

    def quality(self, now_ns: int, others: Sequence[Finding] = ()) -> Quality:
        """Return the recording's quality if it ended now; `others` are further findings."""
        verdict, reasons = judge((*self._findings(now_ns), *others))
        streams = self._cameras | self._states
        return Quality(
            verdict,
            reasons,
            round((now_ns - self._began_ns) * 1e-9, 3),
            {name: stream.received for name, stream in streams.items()},
            {name: stream.expected for name, stream in streams.items()},
        )

    def _findings(self, now_ns: int) -> Iterator[Finding]:
        began_ns = self._began_ns
        seconds = (now_ns - began_ns) * 1e-9
        if seconds < self._thresholds.shortest_s:
            yield Finding("red", f"the episode lasts {seconds:.1f} s")
        if self._lost:
            yield Finding("red", f"{self._lost} messages lost: the disk was too slow for them")
        for topic, messages in self._unreadable.items():
            yield Finding(
                "red",
                f"{topic}: {messages} messages are invalid for the topic:"
                f" {self._first_reason[topic]}",
            )
        for stream in (*self._cameras.values(), *self._states.values()):
            yield from stream.findings(began_ns, now_ns)
        for depth in self._depths.values():  # colour is usable without it
            for finding in depth.findings(began_ns, now_ns):
                yield Finding("amber", finding.reason)
        for frozen in self._frozen.values():
            yield from frozen.findings()
        for (one, its), (other, others) in pairwise(self._cameras.items()):
            yield from skew_findings(
                (one, other), (its.stamps_ns, others.stamps_ns), self._thresholds
            )
        if not self._gripper_seen:
            yield Finding("red", "gripper_state: no message arrived")
        yield from self._motion.findings(began_ns, now_ns)
