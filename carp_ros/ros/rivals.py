"""Who else sends on a topic on which one alone may."""

from __future__ import annotations

from rclpy.node import Node

_LEASE_NS = 30_000_000_000  # a killed process goes on being discovered for 20 s


class Rivals:
    """Counts the publishers of command topics.

    A process that was killed seems to publish for a while beside the one that took its place. While
    a death is that fresh, publishers of the same node count as one: two processes of this machine
    can not be the same node (`carp_ros.ros.process`).

    Args:
        node: Whose view of the graph to use.
        topics: On which one publisher is expected.
    """

    def __init__(self, node: Node, topics: tuple[str, ...]) -> None:
        self._node = node
        self._topics = topics
        self._died_ns = -_LEASE_NS

    def take_death(self, now_ns: int) -> None:
        """Take note that a process of the system died, and is started again."""
        self._died_ns = now_ns

    def find(self, now_ns: int) -> str:
        """Return which topic has more than one publisher, in words, if any."""
        for topic in self._topics:
            count = self._node.count_publishers(topic)
            if count > 1 and now_ns - self._died_ns < _LEASE_NS:
                infos = self._node.get_publishers_info_by_topic(topic)
                count = len({(info.node_namespace, info.node_name) for info in infos})
            if count > 1:
                return f"{count} publishers on {topic}; expected one: stop the others"
        return ""
