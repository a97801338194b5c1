"""Who acts in a trial: how each is let begin, and how one tells that it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from carp_ros.evaluation.policy_report import percentiles
from carp_ros.nodes.qos import COMMAND, SENSOR
from carp_ros.nodes.spinning_node import ANSWER_S, SpinningNode
from carp_ros.policies.live import STAGES

_LET_GO_S = 1.0  # dead-man released for this long ends the trial
_DONE_S = 1.0  # of success on end does, too
_JUDGE_S = 0.25
_INFERENCE = STAGES[:-1]  # without their sum


@dataclass(frozen=True)
class ChunkFigures:
    """What a policy sent in one trial.

    Attributes:
        chunks: How many.
        coarse: How many of them were short of scales.
        latency_ms: By stage, `p50` and `p99`: those of the inference; `schedule`, from there to the
            first target that the arm was sent by the chunk; `total`, from the capture of the image
            to that target.
    """

    chunks: int = 0
    coarse: int = 0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)


class TrialAgent(Protocol):
    """Whoever acts."""

    def begin(self, lay_out: Callable[[], None]) -> None:
        """Have the objects laid out, and let the agent act; the arm is at home and stands.

        Raises:
            DeviceError: If it may not begin.
        """
        ...

    def look(self, now_s: float) -> bool:
        """Look whether the trial is over; called many times a second.

        Args:
            now_s: By `time.monotonic`.
        """
        ...

    @property
    def acted_until_s(self) -> float:
        """When it was last doing what it should, by `time.monotonic`."""
        ...

    def figures(self) -> ChunkFigures | None:
        """Return what a policy sent since it began; None for a person."""
        ...

    def excuse(self) -> str:
        """Return what it says of why it does nothing."""
        ...


class Hand:
    """A person, or the scripted operator, who holds the dead-man button while acting.

    Args:
        node: Whose services and subscriptions to use.
    """

    def __init__(self, node: SpinningNode) -> None:
        self._node = node
        self._deadman = self._acted = False
        self.acted_until_s = 0.0
        node.create_subscription(Bool, "teleop/deadman", self._on_deadman, COMMAND)

    def begin(self, lay_out: Callable[[], None]) -> None:
        """Enable first: new objects are what the scripted operator begins at."""
        self._node.trigger("control/select_teleop")
        self._node.switch("control/enable", True)
        lay_out()
        self._acted, self.acted_until_s = False, time.monotonic()

    def look(self, now_s: float) -> bool:
        """Tell whether the button was let go of for good."""
        if self._deadman:
            self._acted, self.acted_until_s = True, now_s
        return self._acted and now_s - self.acted_until_s > _LET_GO_S

    def figures(self) -> None:
        """Return None: a hand sends no chunks."""

    def excuse(self) -> str:
        """Return nothing: the control node says what a hand lacks."""
        return ""

    def _on_deadman(self, msg: Bool) -> None:
        self._deadman = msg.data


class PolicyAtWork:
    """The policy node, which sends chunks all the time; the trial lets them move the arm.

    Args:
        node: Whose services and subscriptions to use.
    """

    def __init__(self, node: SpinningNode) -> None:
        self._node = node
        self._sent: list[dict[str, Any]] = []
        self._begun_ns: dict[int, int] = {}
        self._says = ""
        self._judged_s = self._failed_s = 0.0
        node.create_subscription(String, "policy/inference", self._on_inference, SENSOR)
        node.create_subscription(String, "control/followed", self._on_followed, SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def begin(self, lay_out: Callable[[], None]) -> None:
        """Lay out first, and enable once the policy has seen it."""
        self._node.trigger("control/select_policy")
        lay_out()
        laid_out_ns = self._node.get_clock().now().nanoseconds
        self._node.wait_until(
            lambda: bool(self._sent) and self._sent[-1]["stamp_ns"] > laid_out_ns,
            ANSWER_S,
            "plan for what was laid out",
        )
        self._sent.clear()
        self._begun_ns.clear()
        self._node.switch("control/enable", True)
        self._judged_s = self._failed_s = time.monotonic()

    def look(self, now_s: float) -> bool:
        """Tell whether the task is done for good."""
        if now_s - self._judged_s >= _JUDGE_S:
            self._judged_s = now_s
            if not self._node.call(Trigger, "cell/judge", Trigger.Request()).success:
                self._failed_s = now_s
        return self._judged_s - self._failed_s >= _DONE_S

    @property
    def acted_until_s(self) -> float:
        """When the task was last not done: the success that follows is the trial's end."""
        return self._failed_s

    def figures(self) -> ChunkFigures:
        """Return what was sent since the beginning."""
        sent = list(self._sent)
        rows = [self._stages_ms(content) for content in sent]
        latency_ms = {
            name: percentiles([row[name] for row in rows if name in row])
            for name in (*_INFERENCE, "schedule", "total")
        }
        coarse = sum(content["scales_done"] < content["scales"] for content in sent)
        return ChunkFigures(len(sent), coarse, latency_ms)

    def excuse(self) -> str:
        """Return what the policy node says."""
        return self._says

    def _stages_ms(self, content: dict[str, Any]) -> dict[str, float]:
        """Return how long each stage of a chunk took; without the last if it was not followed."""
        stages = {name: 1e3 * content["seconds"][name] for name in _INFERENCE}
        begun_ns = self._begun_ns.get(content["stamp_ns"])
        if begun_ns is not None:
            total = 1e-6 * (begun_ns - content["stamp_ns"])
            stages |= {"schedule": total - sum(stages.values()), "total": total}
        return stages

    def _on_followed(self, msg: String) -> None:
        content = json.loads(msg.data)
        self._begun_ns[content["stamp_ns"]] = content["begun_ns"]

    def _on_inference(self, msg: String) -> None:
        self._sent.append(json.loads(msg.data))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "policy: chunks":
                self._says = status.message
