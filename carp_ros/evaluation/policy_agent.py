"""Runs a policy in the lockstep cell, with the latency that it would have in real time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from carp_ros.control.servo import Servo
from carp_ros.control.wrench import WrenchAtTcp
from carp_ros.errors import ChunkError
from carp_ros.policies.inference_scheduler import (
    InferenceRequest,
    InferenceScheduler,
    NoChunk,
    Refusal,
)
from carp_ros.policies.policy import Policy, Prediction
from carp_ros.rig import LimitsConfig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.types import Chunk, Observation

_JUDGE_NS = 100_000_000
_DONE_NS = 1_000_000_000  # of uninterrupted success
_REFUSALS_UNTIL_STOP = 5  # in a row, as in control/arbiter.py


def observe(
    cell: Cell, cameras: Cameras, names: tuple[str, ...], *, wrench: bool = False
) -> Observation:
    """Return the cell's current state and camera images as an observation stamped now.

    Args:
        cell: The cell.
        cameras: The cell's cameras.
        names: Names of the cameras to render.
        wrench: Whether the observation has the wrench, which the cell must measure.
    """
    images = {name: cameras.render(name) for name in names}
    stamps_ns = dict.fromkeys(names, cell.time_ns)
    closure = cell.gripper_closure
    felt = None
    if wrench:
        felt = WrenchAtTcp(cell.rig.tool.flange_from_tcp).of(cell.wrench, cell.tcp_pose)
    return Observation(
        cell.time_ns, images, stamps_ns, cell.tcp_pose, closure, cell.joints, wrench=felt
    )


@dataclass(frozen=True)
class PolicyTiming:
    """A policy's timing, in simulated [s].

    Attributes:
        replan_s: Time from one observation to the next; None: the policy's execution horizon.
        latency_s: Time from an observation until its chunk reaches the servo; the next observation
            waits for it.
    """

    replan_s: float | None = None
    latency_s: float = 0.1


class PolicyAgent:
    """Observes, asks the policy, and passes its chunks to the servo after the latency.

    It is done once the task has succeeded for a full second, or too many chunks in a row were
    refused.

    Args:
        policy: Predicts the chunks.
        limits: The rig's limits, including the maximum age of images and chunks.
        observe: Returns the current observation.
        succeeded: Returns whether the task is done now.
        timing: The policy's timing.

    Attributes:
        predictions: All predictions of the policy.
        arrivals_ns: When the servo accepted each chunk.
        refusals: Why the policy made no chunk, or the servo rejected it, in order.
    """

    period_ns = 10_000_000

    def __init__(
        self,
        policy: Policy,
        limits: LimitsConfig,
        observe: Callable[[], Observation],
        succeeded: Callable[[], bool],
        timing: PolicyTiming,
    ) -> None:
        self._observe = observe
        self._succeeded = succeeded
        self._latency_ns = round(timing.latency_s * 1e9)
        self._now_ns = 0
        # simulated time does not advance during inference; the chunk arrives `latency_s` later
        self._scheduler = InferenceScheduler(
            policy, limits, timing.replan_s, 0.0, self._time_ns, self._time_ns
        )
        shown = policy.spec.observation
        self._history, self._history_step_ns = shown.history, round(shown.history_step_s * 1e9)
        self._past: deque[Observation] = deque(maxlen=shown.history - 1)
        self._pending: Chunk | None = None
        self._began = False
        self._judged_ns = self._failed_ns = 0
        self._refused_in_a_row = 0
        self._done = False
        self.predictions: list[Prediction] = []
        self.arrivals_ns: list[int] = []
        self.refusals: list[Refusal] = []

    @property
    def done(self) -> bool:
        """Whether the task is done, or the policy was given up."""
        return self._done or bool(self.given_up)

    @property
    def given_up(self) -> str:
        """Why the policy was given up; empty if it was not."""
        if self._refused_in_a_row < _REFUSALS_UNTIL_STOP:
            return ""
        return f"{self._refused_in_a_row} chunks refused in a row: {self.refusals[-1].text}"

    def act(self, servo: Servo, now_ns: int) -> None:
        """Do what is due: deliver a chunk, plan the next one, judge success."""
        self._now_ns = now_ns
        if not self._began:
            self._began = True
            self._scheduler.restart()
            self._judged_ns = self._failed_ns = now_ns
        if self._scheduler.executed is not None:
            self._scheduler.executed.take_target(now_ns, servo.pose)
            self._scheduler.executed.take_gripper(now_ns, servo.gripper)
        self._deliver(servo, now_ns)
        if self._pending is None and self._scheduler.is_due(now_ns):
            self._plan()
            self._deliver(servo, now_ns)
        elif self._belongs_to_history(now_ns):
            self._past.append(self._observe())
        if now_ns >= self._judged_ns + _JUDGE_NS:
            self._judged_ns = now_ns
            if not self._succeeded():
                self._failed_ns = now_ns
            self._done = now_ns - self._failed_ns >= _DONE_NS

    def _plan(self) -> None:
        newest = self._observe()
        past = list(self._past)
        # pad with the first observation before the episode's start, as in training windows
        missing = [past[0] if past else newest] * (self._history - 1 - len(past))
        request = self._scheduler.request([*missing, *past, newest], "")
        if isinstance(request, InferenceRequest):
            result = self._scheduler.infer(request)
            if result.prediction is not None:
                self.predictions.append(result.prediction)
            if result.chunk is None:
                self._refuse(result.refusal or Refusal(NoChunk.POLICY_FAILED, "moves no arm"))
            self._pending = result.chunk
        else:
            self._refuse(request)

    def _belongs_to_history(self, now_ns: int) -> bool:
        """Return whether the next plan's observation history includes the current time."""
        before_ns = self._scheduler.due_ns - now_ns
        steps, rest_ns = divmod(before_ns, self._history_step_ns)
        return rest_ns < self.period_ns and 1 <= steps < self._history

    def _deliver(self, servo: Servo, now_ns: int) -> None:
        """Pass the pending chunk to the servo once its latency has elapsed."""
        coming = self._pending
        if coming is None or now_ns < coming.stamp_ns + self._latency_ns:
            return
        self._pending = None
        try:
            servo.follow_chunk(coming, now_ns)
        except ChunkError as error:
            self._refuse(Refusal(NoChunk.REFUSED, str(error)))
        else:
            self._refused_in_a_row = 0
            self._scheduler.followed(coming.stamp_ns, servo.late_ns)
            self.arrivals_ns.append(now_ns)

    def _refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        self._refused_in_a_row += 1
        self._scheduler.failed()

    def _time_ns(self) -> int:
        return self._now_ns
