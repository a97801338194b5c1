"""Publishes joint targets in the form that a vendor's controller takes."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Duration
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.ros.qos import COMMAND


class VendorCommands:
    """The topic on which one controller takes targets.

    Args:
        node: The node that publishes.
        config: The rig's `arm` section.
    """

    def __init__(self, node: Node, config: Ros2ControlArmConfig) -> None:
        self._forward = config.interface == "forward_position"
        self._topic = config.controller + ("/commands" if self._forward else "/joint_trajectory")
        kind: Any = Float64MultiArray if self._forward else JointTrajectory
        self._node = node
        self._publisher = node.create_publisher(kind, self._topic, COMMAND)
        self._horizon = Duration(nanosec=round(config.horizon_s * 1e9))

    @property
    def listeners(self) -> int:
        """Number of subscribers."""
        return self._publisher.get_subscription_count()

    @property
    def publishers(self) -> int:
        """Number of publishers, this one among them."""
        return self._node.count_publishers(self._topic)

    def send(self, names: Sequence[str], joints: Sequence[float]) -> None:
        """Publish a target.

        Args:
            names: The controller's joints, in its order.
            joints: Where each is to be, in [rad].
        """
        positions = array("d", joints)
        if self._forward:
            self._publisher.publish(Float64MultiArray(data=positions))
            return
        # without a stamp, a trajectory begins when it arrives
        point = JointTrajectoryPoint(positions=positions, time_from_start=self._horizon)
        self._publisher.publish(JointTrajectory(joint_names=list(names), points=[point]))
