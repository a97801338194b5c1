"""What the running system says of a policy's chunks, put together chunk by chunk."""

from __future__ import annotations

import json
from typing import Any

from std_msgs.msg import String

from carp_ros.policies.live import STAGES
from carp_ros.ros.qos import SENSOR
from carp_ros.ros.spinning_node import SpinningNode

_INFERENCE = STAGES[:-1]  # without their sum

CHUNK_STAGES = ("transport", "wait", *_INFERENCE[1:], "schedule", "total")
"""From the capture of the image to the first target that the arm was sent by the chunk.

Of the age of an image when the policy is asked, `transport` is until it had arrived, and `wait`
until the measurements around it had.
"""


class ChunkLog:
    """Listens to the policy node and to the control node.

    Args:
        node: Whose subscriptions to use.

    Attributes:
        sent: What the policy node said of each chunk, since the log was cleared.
    """

    def __init__(self, node: SpinningNode) -> None:
        self.sent: list[dict[str, Any]] = []
        self._begun_ns: dict[int, int] = {}
        node.create_subscription(String, "policy/inference", self._on_inference, SENSOR)
        node.create_subscription(String, "control/followed", self._on_followed, SENSOR)

    def clear(self) -> None:
        """Forget what was said."""
        self.sent.clear()
        self._begun_ns.clear()

    def stages_ms(self) -> list[dict[str, float]]:
        """Return of each chunk how long each stage took: `CHUNK_STAGES`, and `image_age`.

        Those of a chunk that was not followed lack `schedule` and `total`.
        """
        return [self._stages_ms(content) for content in list(self.sent)]

    def _stages_ms(self, content: dict[str, Any]) -> dict[str, float]:
        stages = {name: 1e3 * content["seconds"][name] for name in _INFERENCE}
        parts = dict(stages)
        transport = 1e3 * content["transport_s"]
        stages |= {"transport": transport, "wait": stages["image_age"] - transport}
        begun_ns = self._begun_ns.get(content["stamp_ns"])
        if begun_ns is not None:
            total = 1e-6 * (begun_ns - content["stamp_ns"])
            stages |= {"schedule": total - sum(parts.values()), "total": total}
        return stages

    def _on_followed(self, msg: String) -> None:
        content = json.loads(msg.data)
        self._begun_ns[content["stamp_ns"]] = content["begun_ns"]

    def _on_inference(self, msg: String) -> None:
        self.sent.append(json.loads(msg.data))
