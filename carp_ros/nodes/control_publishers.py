"""Publishes the measured and commanded state of the arm and its gripper, for the control node."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from visualization_msgs.msg import MarkerArray

from carp_ros.control.command import ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.control.wrench import WrenchAtTcp
from carp_ros.description.gripper_joint import GRIPPER_JOINT, finger_position_m
from carp_ros.nodes.markers import chunk_marker, workspace_marker
from carp_ros.rig import Rig
from carp_ros.ros.messages import joints_to_msg, pose_to_msg, wrench_to_msg
from carp_ros.ros.qos import LATCHED, SENSOR
from carp_ros.ros.static_transforms import publish_camera_frames
from carp_ros.types import Chunk, GripperState

_GRIPPER_TICKS = 4
HAND_LEAD_NS = 100_000_000
"""How much later than its stamp a target is measured while a person guides the arm by hand.

A target is where the arm shall be a little later. A person who guides it commands nothing, so the
pose that it then reaches takes the target's place: as in a topic map with `source: measured`.
"""


class ControlPublishers:
    """Publishes the states of one rig.

    Args:
        node: The node that owns the topics.
        rig: Names the joints and the base frame, and has the tool.
    """

    def __init__(self, node: Node, rig: Rig) -> None:
        self._rig = rig
        self._robot = rig.robot
        self._seen_joints = (*rig.robot.joint_names, GRIPPER_JOINT)
        self._ticks = 0
        self._target_ns = 0
        self._joint_states = node.create_publisher(JointState, "joint_states", SENSOR)
        self._tool_pose = node.create_publisher(PoseStamped, "tool_pose", SENSOR)
        self._target_pose = node.create_publisher(PoseStamped, "target_pose", SENSOR)
        self._wrench = node.create_publisher(WrenchStamped, "wrench", SENSOR)
        self._at_tcp = WrenchAtTcp(rig.tool.flange_from_tcp)
        self._gripper_command = node.create_publisher(Float64, "gripper_command", SENSOR)
        self._gripper_state = node.create_publisher(Float64, "gripper_state", SENSOR)
        self._markers = node.create_publisher(MarkerArray, "markers", LATCHED)
        self._camera_frames = publish_camera_frames(node, rig, node.get_logger().warning)
        self._now_ns = lambda: node.get_clock().now().nanoseconds
        self._box = workspace_marker(rig.limits, self._now_ns(), rig.robot.base_frame)
        self._markers.publish(MarkerArray(markers=[self._box]))

    def publish(self, state: ServoState, gripper: GripperState | None, stamp_ns: int) -> None:
        """Publish a servo state and the gripper's, stamped `stamp_ns` in ROS time."""
        frame = self._robot.base_frame
        self._joint_states.publish(self._joints(state, gripper, stamp_ns, frame))
        self._tool_pose.publish(pose_to_msg(state.tcp_pose, stamp_ns, frame))
        guided = state.mode is ServoMode.GUIDE
        target_ns = stamp_ns - HAND_LEAD_NS if guided else stamp_ns
        # not while its stamps would run back, unless the clock itself did
        if not 0 <= self._target_ns - target_ns <= HAND_LEAD_NS:
            self._target_ns = target_ns
            self._target_pose.publish(pose_to_msg(state.target_pose, target_ns, frame))
        if state.wrench is not None:
            wrench = self._at_tcp.of(state.wrench, state.tcp_pose)
            self._wrench.publish(wrench_to_msg(wrench, stamp_ns))
        self._ticks += 1
        if self._ticks % _GRIPPER_TICKS == 0:
            self._gripper_command.publish(Float64(data=state.gripper))
            if gripper is not None:
                self._gripper_state.publish(Float64(data=gripper.closure))

    def show(self, chunk: Chunk) -> None:
        """Publish the chunk that the arm is to follow as a marker, if somebody looks.

        The workspace is in the same message, as a viewer that comes late receives the last one.
        """
        if self._markers.get_subscription_count() > 0:
            line = chunk_marker(chunk, self._now_ns(), self._robot.base_frame)
            self._markers.publish(MarkerArray(markers=[self._box, line]))

    def _joints(
        self, state: ServoState, gripper: GripperState | None, stamp_ns: int, frame: str
    ) -> JointState:
        """Return the arm's joints and, once it was read, the gripper's, whose speed is unknown."""
        if gripper is None:
            names = self._robot.joint_names
            return joints_to_msg(names, state.joints, state.velocities, stamp_ns, frame)
        msg = joints_to_msg(self._seen_joints, state.joints, state.velocities, stamp_ns, frame)
        msg.position.append(finger_position_m(self._rig.gripper, gripper.closure))
        msg.velocity.append(0.0)
        return msg
