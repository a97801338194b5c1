"""ROS node: replays a recorded episode on the arm, chunk by chunk, as a policy would.

Publishes:
    chunk (MultiDOFJointTrajectory), gripper_chunk (JointTrajectory).
Subscribes:
    tool_pose (PoseStamped): the path that the tool actually takes. control/status (String): JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.clients.conductor_node import ConductorNode
from carp_ros.recording.recorded_motion import PoseTrack, RecordedMotion, approach
from carp_ros.rig import Rig
from carp_ros.ros.messages import chunk_to_msgs, pose_from_msg, time_from_msg
from carp_ros.ros.qos import COMMAND, SENSOR
from carp_ros.ros.spinning_node import ANSWER_S, taking_part
from carp_ros.types import Chunk, Pose

_EVERY_S = 0.1
_BEGIN_NS = 300_000_000
_SETTLE_S = 0.3
_JUDGED_S = 1.0  # time for a released object to settle


def replay_node(rig: Rig) -> AbstractContextManager[ReplayNode]:
    """Join the ROS graph as a `ReplayNode`; on exit the arm is stopped."""
    return taking_part(lambda: ReplayNode(rig))


class ReplayNode(ConductorNode):
    """Replays recorded episodes.

    Args:
        rig: The running rig.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__("replay_node")
        self._frame = rig.robot.base_frame
        self._tool: list[tuple[int, Pose]] = []
        self._poses = self.create_publisher(MultiDOFJointTrajectory, "chunk", COMMAND)
        self._grippers = self.create_publisher(JointTrajectory, "gripper_chunk", COMMAND)
        self.create_subscription(PoseStamped, "tool_pose", self._on_tool, SENSOR)

    def begin(self, first: Pose, gripper: float) -> None:
        """Move the arm home and from there to the first pose of the episode.

        Raises:
            DeviceError: If the arm does not get there.
        """
        self.prepare()
        self.go_home()
        self.trigger("control/select_policy")
        self.switch("control/enable", True)
        self.wait_until(lambda: self.enabled, ANSWER_S, "be enabled")
        self.wait_until(lambda: bool(self._tool), ANSWER_S, "report the tool's pose")
        chunk = approach(self._tool[-1][1], first, gripper, self._now_ns())
        self._publish(chunk)
        while self._now_ns() < chunk.times_ns[-1]:
            self._require_enabled()
            time.sleep(_EVERY_S)

    def replay(
        self, motion: RecordedMotion, progress: Callable[[str], None]
    ) -> tuple[PoseTrack, int]:
        """Replay an episode from its first pose.

        Args:
            motion: The recorded motion.
            progress: Called with a short progress text, several times a second.

        Returns:
            The path that the tool took, and its time offset from the recording in [ns].

        Raises:
            DeviceError: If the arm is stopped during the replay.
        """
        later_ns = self._now_ns() + _BEGIN_NS - motion.start_ns
        self._tool = self._tool[-1:]
        seconds = (motion.end_ns - motion.start_ns) * 1e-9
        while (now_ns := self._now_ns()) < motion.end_ns + later_ns:
            self._publish(motion.chunk(now_ns, later_ns))
            self._require_enabled()
            progress(f"{(now_ns - later_ns - motion.start_ns) * 1e-9:5.1f} of {seconds:.1f} s")
            time.sleep(_EVERY_S)
        time.sleep(_SETTLE_S)
        times_ns = np.array([stamp_ns for stamp_ns, _ in self._tool], dtype=np.int64)
        return PoseTrack(times_ns, [pose for _, pose in self._tool]), later_ns

    def judge(self) -> str:
        """Return a text that says whether the cell's task is done."""
        time.sleep(_JUDGED_S)
        answer = self.call(Trigger, "cell/judge", Trigger.Request())
        return "the task is done" if answer.success else f"the task is not done: {answer.message}"

    def _publish(self, chunk: Chunk) -> None:
        poses, gripper = chunk_to_msgs(chunk, self._frame)
        self._grippers.publish(gripper)
        self._poses.publish(poses)

    def _require_enabled(self) -> None:
        self.require_listening()
        if not self.enabled:
            raise self.error_of(f"the replay was stopped: {self.reason_text}")

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_tool(self, msg: PoseStamped) -> None:
        self._tool.append((time_from_msg(msg.header.stamp), pose_from_msg(msg, self._frame)))
