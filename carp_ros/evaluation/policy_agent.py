"""A policy that acts in the lockstep cell, with the delay that it would have in real time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from carp_ros.control.servo import Servo
from carp_ros.errors import ChunkError
from carp_ros.policies.asking import Asking, NoChunk, Question, Refusal
from carp_ros.policies.policy import Policy, Prediction
from carp_ros.rig import LimitsConfig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.types import Chunk, Observation

_JUDGE_NS = 100_000_000
_DONE_NS = 1_000_000_000  # of success without a break
_REFUSALS_UNTIL_STOP = 5  # in a row, as control/arbiter.py


def see(cell: Cell, cameras: Cameras, names: tuple[str, ...]) -> Observation:
    """Return what is true of a cell now, as an observation of this very moment.

    Args:
        cell: The cell.
        cameras: Of this cell.
        names: Of those to look through.
    """
    images = {name: cameras.render(name) for name in names}
    stamps_ns = dict.fromkeys(names, cell.time_ns)
    closure = cell.gripper_closure
    return Observation(cell.time_ns, images, stamps_ns, cell.tcp_pose, closure, cell.joints)


@dataclass(frozen=True)
class Pace:
    """When a policy plans, in simulated [s].

    Attributes:
        replan_s: From one observation to the next; None as the policy's execution horizon says.
        latency_s: From an observation to its chunk at the servo; the next observation waits for
            it.
    """

    replan_s: float | None = None
    latency_s: float = 0.1


class PolicyAgent:
    """Observes, asks the policy, and hands its chunks to the servo when they would arrive.

    It is done once the task was done for a second on end, or the policy failed too often in a row.

    Args:
        policy: Makes the plans.
        limits: Of the rig: how old images and chunks may be.
        observe: Returns the observation of now.
        succeeded: Tells whether the task is done now.
        pace: When it plans.

    Attributes:
        predictions: All that the policy said.
        arrivals_ns: When the servo took up a chunk.
        refusals: Why the policy had no plan, or the servo refused it, in order.
    """

    period_ns = 10_000_000

    def __init__(
        self,
        policy: Policy,
        limits: LimitsConfig,
        observe: Callable[[], Observation],
        succeeded: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self._observe = observe
        self._succeeded = succeeded
        self._latency_ns = round(pace.latency_s * 1e9)
        self._now_ns = 0
        # simulated time stands while the policy thinks; its chunk arrives `latency_s` later
        self._asking = Asking(policy, limits, pace.replan_s, 0.0, self._time_ns, self._time_ns)
        shown = policy.spec.observation
        self._history, self._history_step_ns = shown.history, round(shown.history_step_s * 1e9)
        self._past: deque[Observation] = deque(maxlen=shown.history - 1)
        self._coming: Chunk | None = None
        self._began = False
        self._judged_ns = self._failed_ns = 0
        self._refused_in_a_row = 0
        self._done = False
        self.predictions: list[Prediction] = []
        self.arrivals_ns: list[int] = []
        self.refusals: list[Refusal] = []

    @property
    def done(self) -> bool:
        """Whether the task is done for good, or the policy given up."""
        return self._done or bool(self.given_up)

    @property
    def given_up(self) -> str:
        """Why the policy was given up; empty if it was not."""
        if self._refused_in_a_row < _REFUSALS_UNTIL_STOP:
            return ""
        return f"{self._refused_in_a_row} chunks refused in a row: {self.refusals[-1].text}"

    def act(self, servo: Servo, now_ns: int) -> None:
        """Do what is due: hand over a chunk, plan the next one, judge."""
        self._now_ns = now_ns
        if not self._began:
            self._began = True
            self._asking.restart()
            self._judged_ns = self._failed_ns = now_ns
        if self._asking.executed is not None:
            self._asking.executed.take_target(now_ns, servo.pose)
            self._asking.executed.take_gripper(now_ns, servo.gripper)
        self._deliver(servo, now_ns)
        if self._coming is None and self._asking.is_due(now_ns):
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
        # before an episode's begin, its first observation: as in a dataset's windows
        missing = [past[0] if past else newest] * (self._history - 1 - len(past))
        question = self._asking.question([*missing, *past, newest], "")
        if isinstance(question, Question):
            answer = self._asking.answer(question)
            if answer.prediction is not None:
                self.predictions.append(answer.prediction)
            if answer.chunk is None:
                self._refuse(answer.refusal or Refusal(NoChunk.POLICY_FAILED, "moves no arm"))
            self._coming = answer.chunk
        else:
            self._refuse(question)

    def _belongs_to_history(self, now_ns: int) -> bool:
        """Tell whether the next plan will be made of an observation of now, too."""
        before_ns = self._asking.due_ns - now_ns
        steps, rest_ns = divmod(before_ns, self._history_step_ns)
        return rest_ns < self.period_ns and 1 <= steps < self._history

    def _deliver(self, servo: Servo, now_ns: int) -> None:
        """Hand the servo the chunk that arrives now, if one does."""
        coming = self._coming
        if coming is None or now_ns < coming.stamp_ns + self._latency_ns:
            return
        self._coming = None
        try:
            servo.follow_chunk(coming, now_ns)
        except ChunkError as error:
            self._refuse(Refusal(NoChunk.REFUSED, str(error)))
        else:
            self._refused_in_a_row = 0
            self.arrivals_ns.append(now_ns)

    def _refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        self._refused_in_a_row += 1
        self._asking.failed()

    def _time_ns(self) -> int:
        return self._now_ns
