"""Subscribes to recorded topics without deserialising their messages."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rosbags.interfaces import QosReliability

from carp_ros.recording.episode import Topic
from carp_ros.recording.offered_qos import offered_qos

# A busy machine may delay a subscriber by tenths of a second; messages beyond the queue are lost.
_IMAGE_DEPTH = 30
_DEPTH = 200
STATUS = "/control/status"


def listen(node: Node, topic: Topic, take: Callable[[bytes], None]) -> Subscription:
    """Call `take` with the serialised form of every message of a topic."""
    package, kind, name = topic.type.split("/")
    message = getattr(importlib.import_module(f"{package}.{kind}"), name)
    reliable = offered_qos(topic.name).reliability is QosReliability.RELIABLE
    is_image = name in ("Image", "CompressedImage")
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_IMAGE_DEPTH if is_image else _DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        # The latched status is wanted even if published earlier; earlier requests are obsolete.
        durability=DurabilityPolicy.TRANSIENT_LOCAL
        if topic.name == STATUS
        else DurabilityPolicy.VOLATILE,
    )
    where = topic.name.lstrip("/")  # relative to the node's namespace; the bag has none
    return node.create_subscription(message, where, take, profile, raw=True)
