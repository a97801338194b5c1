"""Publishes where the calibrated cameras are, for RViz, Foxglove and other users of /tf_static."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from carp_ros.rig import Rig
from carp_ros.rig_cameras import optical_frame
from carp_ros.ros.messages import header
from carp_ros.ros.qos import LATCHED
from carp_ros.types import Pose

TOPIC = "/tf_static"


def camera_frames(rig: Rig) -> Iterator[tuple[str, str, Pose]]:
    """Yield parent frame, optical frame and `parent_from_camera` of each calibrated camera.

    A wrist camera's parent is the flange, whose pose in the base is the business of whoever
    publishes the robot's description.
    """
    parents = {"flange": rig.robot.flange_frame, "base": rig.robot.base_frame}
    for name, result in rig.calibrated.poses.items():
        yield parents[result.parent], optical_frame(name), result.parent_from_camera


def tf_message_kind() -> Any:
    """Return the class tf2_msgs/TFMessage; None if this ROS does not have it."""
    try:
        return importlib.import_module("tf2_msgs.msg").TFMessage
    except ImportError:
        return None


def publish_camera_frames(
    node: Node,
    rig: Rig,
    log: Callable[[str], object],
    message_kind: Callable[[], Any] = tf_message_kind,
) -> Any:
    """Publish the cameras' frames, latched; log why not where ROS has no messages for them.

    Args:
        node: The node that owns the topic.
        rig: The rig with what was calibrated of it.
        log: Called with one line if the package tf2_msgs is missing.
        message_kind: Returns tf2_msgs/TFMessage, or None; another one for tests.

    Returns:
        The publisher, which must be kept; None if there is nothing to publish, or no tf2_msgs.
    """
    frames = list(camera_frames(rig))
    if not frames:
        return None
    kind = message_kind()
    if kind is None:
        names = ", ".join(child for _, child, _ in frames)
        log(
            f"{TOPIC} is not published ({names}): this ROS has no tf2_msgs; apt-get install"
            " ros-$ROS_DISTRO-tf2-msgs. Nothing in this package needs it"
        )
        return None
    stamp_ns = node.get_clock().now().nanoseconds
    publisher = node.create_publisher(kind, TOPIC, LATCHED)
    publisher.publish(kind(transforms=[_message(*frame, stamp_ns) for frame in frames]))
    return publisher


def _message(parent: str, child: str, pose: Pose, stamp_ns: int) -> TransformStamped:
    msg = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    place, turn = msg.transform.translation, msg.transform.rotation
    place.x, place.y, place.z = pose.position.tolist()
    turn.x, turn.y, turn.z, turn.w = pose.quaternion.tolist()
    return msg
