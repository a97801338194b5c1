"""Subscriptions to what is small by its nature: anything else is refused before it is taken apart.

To take apart a message of 200 000 steps holds a node's only thread for seconds, and the arm's
heartbeat with it; a text that is no text raises inside of rclpy, where no callback can refuse it.
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
        node: That listens.
        kind: Type of the messages.
        topic: Its name.
        take: Takes a message.
        qos: Of the subscription.
        refuse: Takes what is wrong with one that is too large or can't be read.
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
