"""Detects a second publisher on a topic that must have only one."""

from __future__ import annotations

from rclpy.node import Node

_LEASE_NS = 30_000_000_000  # a killed process remains in discovery for 20 s


class DuplicatePublishers:
    """Counts the publishers of command topics.

    A killed process still shows up as a publisher for a while beside its replacement. While a death
    is that recent, publishers with the same node name count as one: two processes on this machine
    cannot run the same node (`carp_ros.ros.process`).

    Args:
        node: Node whose view of the graph is used.
        topics: Topics on which one publisher is expected.
    """

    def __init__(self, node: Node, topics: tuple[str, ...]) -> None:
        self._node = node
        self._topics = topics
        self._died_ns = -_LEASE_NS

    def take_death(self, now_ns: int) -> None:
        """Record that a process of the system died and is being restarted."""
        self._died_ns = now_ns

    def find(self, now_ns: int) -> str:
        """Describe a topic with more than one publisher; empty if there is none."""
        for topic in self._topics:
            count = self._node.count_publishers(topic)
            if count > 1 and now_ns - self._died_ns < _LEASE_NS:
                infos = self._node.get_publishers_info_by_topic(topic)
                count = len({(info.node_namespace, info.node_name) for info in infos})
            if count > 1:
                return f"{count} publishers on {topic}; expected one: stop the others"
        return ""
