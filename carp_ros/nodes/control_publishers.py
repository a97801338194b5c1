"""Publishes the measured and commanded state of the arm and its gripper, for the control node."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64
from visualization_msgs.msg import MarkerArray

from carp_ros.control.command import ServoState
from carp_ros.nodes.markers import workspace_markers
from carp_ros.rig import Rig
from carp_ros.ros.messages import joints_to_msg, pose_to_msg
from carp_ros.ros.qos import LATCHED, SENSOR
from carp_ros.types import GripperState

_GRIPPER_TICKS = 4


class ControlPublishers:
    """Publishes the states of one rig.

    Args:
        node: The node that owns the topics.
        rig: Names the joints and the base frame.
    """

    def __init__(self, node: Node, rig: Rig) -> None:
        self._robot = rig.robot
        self._ticks = 0
        self._joint_states = node.create_publisher(JointState, "joint_states", SENSOR)
        self._tool_pose = node.create_publisher(PoseStamped, "tool_pose", SENSOR)
        self._target_pose = node.create_publisher(PoseStamped, "target_pose", SENSOR)
        self._gripper_command = node.create_publisher(Float64, "gripper_command", SENSOR)
        self._gripper_state = node.create_publisher(Float64, "gripper_state", SENSOR)
        self._markers = node.create_publisher(MarkerArray, "markers", LATCHED)
        now_ns = node.get_clock().now().nanoseconds
        self._markers.publish(workspace_markers(rig.limits, now_ns, rig.robot.base_frame))

    def publish(self, state: ServoState, gripper: GripperState | None, stamp_ns: int) -> None:
        """Publish a servo state and the gripper's, stamped `stamp_ns` in ROS time."""
        frame = self._robot.base_frame
        names = self._robot.joint_names
        self._joint_states.publish(
            joints_to_msg(names, state.joints, state.velocities, stamp_ns, frame)
        )
        self._tool_pose.publish(pose_to_msg(state.tcp_pose, stamp_ns, frame))
        self._target_pose.publish(pose_to_msg(state.target_pose, stamp_ns, frame))
        self._ticks += 1
        if self._ticks % _GRIPPER_TICKS == 0:
            self._gripper_command.publish(Float64(data=state.gripper))
            if gripper is not None:
                self._gripper_state.publish(Float64(data=gripper.closure))
