"""A policy that acts in the lockstep cell, with the delay that it would have in real time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from carp_ros.control.servo import Servo
from carp_ros.errors import CarpError, ChunkError
from carp_ros.policies.policy import Policy, Prediction
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.types import Observation

_JUDGE_NS = 100_000_000
_RETRY_NS = 200_000_000  # after a plan that came to nothing
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
    opening = cell.gripper_opening
    return Observation(cell.time_ns, images, stamps_ns, cell.tcp_pose, opening, cell.joints)


@dataclass(frozen=True)
class Pace:
    """When a policy plans, in simulated [s].

    Attributes:
        replan_s: From one observation to the next.
        latency_s: From an observation to its chunk at the servo; the next observation waits for
            it.
    """

    replan_s: float
    latency_s: float = 0.1


class PolicyAgent:
    """Observes, asks the policy, and hands its chunks to the servo when they would arrive.

    It is done once the task was done for a second on end, or the policy failed too often in a row.

    Args:
        policy: Makes the plans.
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
        observe: Callable[[], Observation],
        succeeded: Callable[[], bool],
        pace: Pace,
    ) -> None:
        self._policy = policy
        self._observe = observe
        self._succeeded = succeeded
        self._replan_ns = round(pace.replan_s * 1e9)
        self._latency_ns = round(pace.latency_s * 1e9)
        self._next_ns: int | None = None
        self._coming: Prediction | None = None
        self._judged_ns = self._failed_ns = 0
        self._refused_in_a_row = 0
        self._done = False
        self.predictions: list[Prediction] = []
        self.arrivals_ns: list[int] = []
        self.refusals: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the task is done for good, or the policy given up."""
        return self._done or bool(self.given_up)

    @property
    def given_up(self) -> str:
        """Why the policy was given up; empty if it was not."""
        if self._refused_in_a_row < _REFUSALS_UNTIL_STOP:
            return ""
        return f"{self._refused_in_a_row} chunks refused in a row: {self.refusals[-1]}"

    def act(self, servo: Servo, now_ns: int) -> None:
        """Do what is due: hand over a chunk, plan the next one, judge."""
        if self._next_ns is None:
            self._next_ns = self._judged_ns = self._failed_ns = now_ns
        self._deliver(servo, now_ns)
        if self._coming is None and now_ns >= self._next_ns:
            self._next_ns = max(self._next_ns + self._replan_ns, now_ns)
            self._plan(now_ns)
            self._deliver(servo, now_ns)
        if now_ns >= self._judged_ns + _JUDGE_NS:
            self._judged_ns = now_ns
            if not self._succeeded():
                self._failed_ns = now_ns
            self._done = now_ns - self._failed_ns >= _DONE_NS

    def _plan(self, now_ns: int) -> None:
        try:
            self._coming = self._policy.infer(self._observe())
        except CarpError as error:
            self._refuse(str(error), now_ns)
        else:
            self.predictions.append(self._coming)

    def _deliver(self, servo: Servo, now_ns: int) -> None:
        """Hand the servo the chunk that arrives now, if one does."""
        coming = self._coming
        if coming is None or now_ns < coming.chunk.stamp_ns + self._latency_ns:
            return
        self._coming = None
        try:
            servo.follow_chunk(coming.chunk, now_ns)
        except ChunkError as error:
            self._refuse(str(error), now_ns)
        else:
            self._refused_in_a_row = 0
            self.arrivals_ns.append(now_ns)

    def _refuse(self, why: str, now_ns: int) -> None:
        self.refusals.append(why)
        self._refused_in_a_row += 1
        self._next_ns = now_ns + _RETRY_NS
