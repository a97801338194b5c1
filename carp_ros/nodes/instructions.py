"""What a node is asked for in words: on the topic `instruction`, or by its parameter."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.parameter import Parameter
from std_msgs.msg import String

from carp_ros.errors import CarpError, MessageError
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.qos import COMMAND

_NAME = "instruction"


class Instructions:
    """Declares the parameter, follows the topic, and tells of every change.

    Args:
        node: The node that is asked.
        take: Called with each instruction; a `CarpError` that it raises is logged.
    """

    def __init__(self, node: GuardedNode, take: Callable[[str], None]) -> None:
        self._node, self._take = node, take
        node.rules.declare(
            _NAME, "", "The task in words, for a policy that takes any; may change at any time."
        )
        node.add_post_set_parameters_callback(self._on_set)
        follow_topic(node)

    @property
    def text(self) -> str:
        """The newest instruction; empty if there is none."""
        return self._node.get_parameter(_NAME).get_parameter_value().string_value

    def _on_set(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == _NAME and parameter.value:
                try:
                    self._take(parameter.value)
                except CarpError as error:
                    self._node.get_logger().warning(str(error))


def follow_topic(node: GuardedNode) -> None:
    """Set a node's parameter `instruction` to what is published on the topic of that name."""

    def take(msg: String) -> None:
        (result,) = node.set_parameters([Parameter(_NAME, value=msg.data)])
        if not result.successful:
            raise MessageError(result.reason)

    node.create_subscription(String, _NAME, take, COMMAND)
