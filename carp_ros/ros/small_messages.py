"""Subscriptions to small messages: larger ones are refused before they are deserialised.

Deserialising a message of 200 000 steps blocks a node's only thread for seconds, and the arm's
heartbeat with it; an invalid string raises inside rclpy, where no callback can refuse it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from carp_ros.errors import CarpError, MessageError
from carp_ros.refusal import refusing

MOST_BYTES = 65_536  # five times the longest chunk


def subscribe_small(
    node: Node,
    kind: Any,
    topic: str,
    take: Callable[[Any], None],
    qos: QoSProfile,
    refuse: Callable[[CarpError], None],
) -> Subscription:
    """Call `take` with every message of a topic, or `refuse` with the reason why not.

    Args:
        node: The subscribing node.
        kind: Type of the messages.
        topic: Name of the topic.
        take: Called with each message.
        qos: Profile of the subscription.
        refuse: Called with the error if a message is too large or cannot be deserialised.
    """

    def take_bytes(data: bytes) -> None:
        try:
            if len(data) > MOST_BYTES:
                raise MessageError(
                    f"{topic}: a message of {len(data)} bytes; expected at most {MOST_BYTES}"
                )
            with refusing(MessageError, topic):
                msg = deserialize_message(data, kind)
        except MessageError as error:
            refuse(error)
            return
        take(msg)

    return node.create_subscription(kind, topic, take_bytes, qos, raw=True)
