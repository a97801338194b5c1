"""Collects, chunk by chunk, what a running system reports about a policy's chunks."""

from __future__ import annotations

from std_msgs.msg import String

from carp_ros.reports.control import ChunkStart
from carp_ros.reports.inference import InferenceReport
from carp_ros.reports.json_report import report_from_json
from carp_ros.ros.qos import SENSOR
from carp_ros.ros.spinning_node import SpinningNode


class ChunkLog:
    """Listens to the policy node and the control node.

    Args:
        node: Node to subscribe with.

    Attributes:
        sent: The policy node's report of each chunk since the log was cleared.
    """

    def __init__(self, node: SpinningNode) -> None:
        self.sent: list[InferenceReport] = []
        self._begun_ns: dict[int, int] = {}
        node.create_subscription(String, "policy/inference", self._on_inference, SENSOR)
        node.create_subscription(String, "control/followed", self._on_followed, SENSOR)

    def clear(self) -> None:
        """Drop all reports."""
        self.sent.clear()
        self._begun_ns.clear()

    def stages_ms(self) -> list[dict[str, float]]:
        """Return each chunk's latency by stage in [ms], from the image to the first target sent.

        The image's age when inference starts is split into `transport`, until the image arrived,
        and `wait`, until the measurements around it arrived. Then come the policy's own stages,
        and `schedule` and `total`, which are absent for a chunk that was not followed.
        """
        return [self._stages_ms(report) for report in list(self.sent)]

    def _stages_ms(self, report: InferenceReport) -> dict[str, float]:
        parts = {name: 1e3 * s for name, s in report.seconds.items() if name != "total"}
        transport = 1e3 * report.transport_s
        image_age = parts["image_age"]
        stages = {"transport": transport, "wait": image_age - transport, **parts}
        begun_ns = self._begun_ns.get(report.stamp_ns)
        if begun_ns is not None:
            total = 1e-6 * (begun_ns - report.stamp_ns)
            stages |= {"schedule": total - sum(parts.values()), "total": total}
        return stages

    def _on_followed(self, msg: String) -> None:
        followed = report_from_json(ChunkStart, msg.data, "control/followed")
        self._begun_ns[followed.stamp_ns] = followed.begun_ns

    def _on_inference(self, msg: String) -> None:
        self.sent.append(report_from_json(InferenceReport, msg.data, "policy/inference"))
