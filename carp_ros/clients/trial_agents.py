"""The agents of a trial (operator or policy): how each starts, and when its trial is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from carp_ros.clients.chunk_log import ChunkLog
from carp_ros.evaluation.policy_report import percentiles
from carp_ros.ros.qos import COMMAND
from carp_ros.ros.spinning_node import ANSWER_S, SpinningNode

_LET_GO_S = 1.0  # releasing the dead-man for this long ends the trial
_DONE_S = 1.0  # and so does a task that stays done for this long
_JUDGE_S = 0.25


@dataclass(frozen=True)
class ChunkFigures:
    """Statistics of a policy's chunks in one trial.

    Attributes:
        chunks: Number of chunks.
        reduced: How many of them were computed with less detail to keep the deadline.
        latency_ms: `p50` and `p99` by stage; see `ChunkLog.stages_ms`.
    """

    chunks: int = 0
    reduced: int = 0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)


class TrialAgent(Protocol):
    """The agent that acts in a trial."""

    def begin(self, place_objects: Callable[[], None]) -> None:
        """Have the objects laid out and let the agent act; the arm is at home and at rest.

        Raises:
            DeviceError: If the agent may not start.
        """
        ...

    def is_over(self, now_s: float) -> bool:
        """Return whether the trial is over; called many times a second.

        Args:
            now_s: Current time by `time.monotonic`.
        """
        ...

    @property
    def acted_until_s(self) -> float:
        """When the agent was last at work on the task, by `time.monotonic`."""
        ...

    def figures(self) -> ChunkFigures | None:
        """Return the policy's chunk statistics since it began; None for an operator."""
        ...

    def explanation(self) -> str:
        """Return the agent's own explanation of why it does nothing; empty if it has none."""
        ...


class OperatorAgent:
    """A person or the scripted operator, holding the dead-man button while acting.

    Args:
        node: Node to call and subscribe with.
    """

    def __init__(self, node: SpinningNode) -> None:
        self._node = node
        self._deadman = self._acted = False
        self.acted_until_s = 0.0
        node.create_subscription(Bool, "teleop/deadman", self._on_deadman, COMMAND)

    def begin(self, place_objects: Callable[[], None]) -> None:
        """Enable first, because the scripted operator starts as soon as objects are laid out."""
        self._node.trigger("control/select_teleop")
        self._node.switch("control/enable", True)
        place_objects()
        self._acted, self.acted_until_s = False, time.monotonic()

    def is_over(self, now_s: float) -> bool:
        """Return whether the dead-man button has been released for good."""
        if self._deadman:
            self._acted, self.acted_until_s = True, now_s
        return self._acted and now_s - self.acted_until_s > _LET_GO_S

    def figures(self) -> None:
        """Return None: an operator sends no chunks."""

    def explanation(self) -> str:
        """Return nothing: the control node's own reason covers this case."""
        return ""

    def _on_deadman(self, msg: Bool) -> None:
        self._deadman = msg.data


class PolicyNodeAgent:
    """The policy node, which sends chunks all the time; the trial enables them to move the arm.

    Args:
        node: Node to call and subscribe with.
    """

    def __init__(self, node: SpinningNode) -> None:
        self._node = node
        self._log = ChunkLog(node)
        self._says = ""
        self._judged_s = self._failed_s = 0.0
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, 10)

    def begin(self, place_objects: Callable[[], None]) -> None:
        """Lay out the objects first; enable once the policy has observed them."""
        self._node.trigger("control/select_policy")
        place_objects()
        laid_out_ns = self._node.get_clock().now().nanoseconds
        self._node.wait_until(
            lambda: bool(self._log.sent) and self._log.sent[-1].stamp_ns > laid_out_ns,
            ANSWER_S,
            "plan for what was laid out",
        )
        self._log.clear()
        self._node.switch("control/enable", True)
        self._judged_s = self._failed_s = time.monotonic()

    def is_over(self, now_s: float) -> bool:
        """Return whether the task has stayed done for a while."""
        if now_s - self._judged_s >= _JUDGE_S:
            self._judged_s = now_s
            if not self._node.call(Trigger, "cell/judge", Trigger.Request()).success:
                self._failed_s = now_s
        return self._judged_s - self._failed_s >= _DONE_S

    @property
    def acted_until_s(self) -> float:
        """When the task was last found not done; the success after it ends the trial."""
        return self._failed_s

    def figures(self) -> ChunkFigures:
        """Return the statistics of the chunks sent since `begin`."""
        rows = self._log.stages_ms()
        latency_ms = {
            name: percentiles([row[name] for row in rows if name in row])
            for name in dict.fromkeys(name for row in rows for name in row)
        }
        sent = self._log.sent[: len(rows)]
        reduced = sum(report.reduced for report in sent)
        return ChunkFigures(len(rows), reduced, latency_ms)

    def explanation(self) -> str:
        """Return the policy node's latest diagnostic message."""
        return self._says

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "policy: chunks":
                self._says = status.message
