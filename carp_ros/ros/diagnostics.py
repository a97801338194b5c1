"""A node's statuses on /diagnostics (REP-107)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def status(
    name: str, level: bytes, message: str, values: Mapping[str, Any] | None = None
) -> DiagnosticStatus:
    """Return one status, named `node: part`; values are written as text."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id="", values=pairs)


class DiagnosticsPublisher:
    """Publishes a node's statuses."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "diagnostics", 10)

    def publish(self, statuses: list[DiagnosticStatus]) -> None:
        """Publish the statuses, stamped now, together with the node's count of refusals."""
        guard = getattr(self._node, "callback_guard", None)
        refused = None if guard is None else guard.status(self._node.get_name())
        msg = DiagnosticArray(status=[*statuses, *([refused] if refused else [])])
        msg.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(msg)
