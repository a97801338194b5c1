"""ROS node: moves the arm for the steps of its first motion, as any policy would.

Publishes:
    chunk (MultiDOFJointTrajectory), gripper_chunk (JointTrajectory).
Subscribes:
    joint_states (JointState), tool_pose (PoseStamped), gripper_command (Float64): the arm.
    teleop/deadman (Bool): the person's button. control/status (String): JSON.
    /diagnostics (DiagnosticArray): state of the robot's safety controller.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import AbstractContextManager, suppress

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.clients.conductor_node import ConductorNode
from carp_ros.commissioning.access import Reading
from carp_ros.commissioning.track import Sample, Track
from carp_ros.control.kinematics import Kinematics
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Source
from carp_ros.rig import Rig
from carp_ros.ros.messages import (
    chunk_to_msgs,
    joints_from_msg,
    pose_from_msg,
    time_from_msg,
)
from carp_ros.ros.qos import COMMAND, SENSOR
from carp_ros.ros.spinning_node import ANSWER_S, taking_part
from carp_ros.types import Array, Chunk, Pose, SafetyState

_LONGEST_TRACK = 100_000  # at 100 Hz, a quarter of an hour


def first_motion_node(rig: Rig) -> AbstractContextManager[FirstMotionNode]:
    """Join the ROS graph as a `FirstMotionNode`; on exit the arm is stopped."""
    return taking_part(lambda: FirstMotionNode(rig))


class FirstMotionNode(ConductorNode):
    """The arm of a running system; a `commissioning.access.MovableArm`.

    Args:
        rig: The running rig.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__("first_motion_node")
        self._robot = rig.robot
        self._kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
        self._speed_m_s = 0.0
        self._joints: Array | None = None
        self._tool: Pose | None = None
        self._gripper = 0.0
        self._safety: tuple[SafetyState, float] | None = None  # and the speed scaling
        self._deadman = False
        self._samples: deque[Sample] = deque(maxlen=_LONGEST_TRACK)
        self._poses = self.create_publisher(MultiDOFJointTrajectory, "chunk", COMMAND)
        self._grippers = self.create_publisher(JointTrajectory, "gripper_chunk", COMMAND)
        self.create_subscription(JointState, "joint_states", self._on_joints, SENSOR)
        self.create_subscription(PoseStamped, "tool_pose", self._on_tool, SENSOR)
        self.create_subscription(Float64, "gripper_command", self._on_gripper, SENSOR)
        self.create_subscription(Bool, "teleop/deadman", self._on_deadman, COMMAND)
        self.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, 10)

    def now_ns(self) -> int:
        """Return the ROS time."""
        return self.get_clock().now().nanoseconds

    def steady_ns(self) -> int:
        """Return the time of a clock that nobody sets."""
        return time.monotonic_ns()

    def wait(self, seconds: float) -> None:
        """Sleep, as long as messages arrive.

        Raises:
            DeviceError: If they do not any more.
        """
        self.require_listening()
        time.sleep(seconds)

    def reading(self) -> Reading:
        """Return the newest reading, and wait for the first.

        Raises:
            DeviceError: If none arrives.
        """
        self.wait_until(
            lambda: all(it is not None for it in (self._tool, self.status, self._safety)),
            ANSWER_S,
            "report the arm's state",
        )
        assert self.status is not None
        assert self._joints is not None
        assert self._tool is not None
        assert self._safety is not None
        return Reading(
            self.status,
            *self._safety,
            self._joints,
            self._tool,
            self._gripper,
        )

    def start_track(self) -> None:
        """Forget the track, and record a new one."""
        self._samples.clear()

    def track(self) -> Track:
        """Return what was measured since `start_track`.

        Raises:
            DeviceError: If nothing was.
        """
        samples = list(self._samples)
        if not samples:
            raise DeviceError("no pose of the tool arrived; is control_node running?")
        return Track.of(samples)

    def enable(self, source: Source) -> None:
        """Select who may move the arm, and enable motion.

        Raises:
            StoppedError: If that is refused.
        """
        self.trigger(f"control/select_{source.value}")
        self.switch("control/enable", True)
        self.wait_until(lambda: self.enabled, ANSWER_S, "be enabled")

    def disable(self) -> None:
        """Stop the arm. Without a control node to hear it, the servo stops the arm by itself."""
        with suppress(DeviceError):
            self.switch("control/enable", False)
            self.wait_until(lambda: not self.enabled, ANSWER_S, "be stopped")

    def send(self, chunk: Chunk) -> None:
        """Send a plan.

        Raises:
            StoppedError: If motion is not enabled any more.
        """
        self.require_listening()
        if not self.enabled:
            raise self.error_of(f"the arm was stopped: {self.reason_text}")
        poses, gripper = chunk_to_msgs(chunk, self._robot.base_frame)
        self._grippers.publish(gripper)
        self._poses.publish(poses)

    @property
    def deadman(self) -> bool:
        """Whether the dead-man button is held."""
        return self._deadman

    def _on_joints(self, msg: JointState) -> None:
        names = self._robot.joint_names
        joints = joints_from_msg(msg, names)
        by_name = dict(zip(msg.name, msg.velocity))
        velocities = np.array([by_name.get(name, 0.0) for name in names])
        self._speed_m_s = float(
            np.linalg.norm((self._kinematics.jacobian(joints) @ velocities)[:3])
        )
        self._joints = joints

    def _on_tool(self, msg: PoseStamped) -> None:
        if self._joints is None:
            return
        self._tool = pose_from_msg(msg, self._robot.base_frame)
        stamp_ns = time_from_msg(msg.header.stamp)
        if not self._samples or stamp_ns > self._samples[-1][0]:
            self._samples.append((stamp_ns, self._tool.position, self._joints, self._speed_m_s))

    def _on_gripper(self, msg: Float64) -> None:
        self._gripper = min(max(msg.data, 0.0), 1.0)

    def _on_deadman(self, msg: Bool) -> None:
        self._deadman = msg.data

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            told = {pair.key: pair.value for pair in status.values}
            if status.name == "control: arm" and "safety" in told:
                self._safety = SafetyState[told["safety"]], float(told["speed_scaling"])
