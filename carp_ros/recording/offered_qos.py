"""The QoS that publishers of recorded topics offer, stored so that players can offer the same."""

from __future__ import annotations

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

_LATCHED = ("/control/status", "/episode/event")
_COMMANDS = ("/teleop/twist", "/teleop/deadman", "/teleop/gripper", "/chunk", "/gripper_chunk")
_FOREVER = QosTime(9223372036, 854775807)


def offered_qos(topic: str) -> Qos:
    """Return a topic's quality of service; ros/qos.py gives the reasons."""
    if topic in _LATCHED:
        return _qos(1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL)
    if topic in _COMMANDS:
        return _qos(1, QosReliability.RELIABLE, QosDurability.VOLATILE)
    if topic == "/diagnostics":
        return _qos(10, QosReliability.RELIABLE, QosDurability.VOLATILE)
    return _qos(5, QosReliability.BEST_EFFORT, QosDurability.VOLATILE)


def _qos(depth: int, reliability: QosReliability, durability: QosDurability) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
