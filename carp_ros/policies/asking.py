"""When to ask a policy, what about, and whether its answer may still be sent.

The only such loop of the package: the policy node asks through it in real time, and the lockstep
evaluation in simulated time. No clock is read here but those that are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from carp_ros.inference.observation import Image
from carp_ros.inference.track import SET_BACK_NS
from carp_ros.policies.cadence import Cadence
from carp_ros.policies.executed import ExecutedSteps
from carp_ros.policies.policy import VISION, Policy, Prediction
from carp_ros.refusal import in_words
from carp_ros.rig import LimitsConfig
from carp_ros.types import Chunk, Observation

_PATIENCE_NS = 100_000_000  # three frames of 30 Hz
_RETRY_NS = 200_000_000  # after an attempt that came to nothing
_CLOCK_TOLERANCE_S = 0.005  # as control/servo.py
_CLOCK_SET_S = 0.05  # no two readings of two clocks that run alike are that far apart


class NoChunk(Enum):
    """Why there is no chunk."""

    NO_OBSERVATION = "no observation"
    STALE_OBSERVATION = "the newest observation is too old"
    FUTURE_OBSERVATION = "the newest observation is in the future"
    NOTHING_NEW = "nothing new since the last chunk"
    POLICY_FAILED = "the policy has no plan"
    CLOCK_SET = "the clock was set"
    TOO_LATE = "the chunk came too late"
    REFUSED = "the servo refused the chunk"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no chunk: a code to decide on, and a text for people."""

    code: NoChunk
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a policy is asked about.

    Attributes:
        observations: The newest last.
        age_s: How old the newest one was when it was chosen.
        executed: What was sent to the arm since the last question, if the policy wants it.
    """

    observations: Sequence[Observation]
    age_s: float
    executed: Chunk | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        prediction: What the policy says; None if nothing.
        refusal: Why its chunk must not be sent; None if it may.
        image_age_s: How old the observation was when it was chosen.
        looking_s: How long the policy was then still looking at images that came before.
        latency_s: From the observation to the chunk.
    """

    prediction: Prediction | None
    refusal: Refusal | None
    image_age_s: float
    looking_s: float
    latency_s: float

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long each stage took: `image_age`, the policy's own, `total`; empty without a plan.

        The policy's stages and the age of the image add up to the total, nearly.
        """
        if self.prediction is None:
            return {}
        stages = dict(self.prediction.stages)
        if self.looking_s or VISION in stages:
            stages[VISION] = stages.get(VISION, 0.0) + self.looking_s
        return {"image_age": self.image_age_s, **stages, "total": self.latency_s}

    @property
    def chunk(self) -> Chunk | None:
        """The chunk to send; None if there is none that may be sent."""
        return self.prediction.chunk if self.prediction and not self.refusal else None


class Asking:
    """Asks a policy when there is something new to be asked about.

    Args:
        policy: Makes the plans; its deadlines count by `now_ns`.
        limits: How old images and chunks may be.
        period_s: From one plan to the next; None as the policy's execution horizon says.
        deadline_s: When a chunk shall be there, counted from its observation; 0 for no deadline.
        now_ns: The clock of the cadence and the policy's deadlines.
        stamp_now_ns: The clock of the observations' stamps.
    """

    def __init__(
        self,
        policy: Policy,
        limits: LimitsConfig,
        period_s: float | None,
        deadline_s: float,
        now_ns: Callable[[], int],
        stamp_now_ns: Callable[[], int],
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._deadline_s = deadline_s
        self._now_ns = now_ns
        self._stamp_now_ns = stamp_now_ns
        period_ns = round((period_s or policy.spec.replan_s) * 1e9)
        self._cadence = Cadence(period_ns, _PATIENCE_NS, _RETRY_NS)
        self._asked_ns: int | None = None
        self.executed = ExecutedSteps(policy.spec.step_s) if policy.spec.wants_executed else None
        """Takes what is sent to the arm, if the policy wants to know."""

    def restart(self) -> None:
        """Let a plan be due now."""
        self._cadence.restart(self._now_ns())

    def is_due(self, stamp_ns: int | None) -> bool:
        """Tell whether to ask about the newest whole observation, which is of `stamp_ns`.

        Args:
            stamp_ns: Its stamp, None if there is none; say it whenever it may have changed.
        """
        return self._cadence.offer(self._now_ns(), stamp_ns)

    def is_overdue(self) -> bool:
        """Tell whether a plan is due and nothing new came in time: `question` then says why."""
        return self._cadence.is_overdue(self._now_ns())

    def is_near(self, within_ns: int) -> bool:
        """Tell whether a plan is due, or will be that soon."""
        return self._cadence.is_near(self._now_ns(), within_ns)

    @property
    def due_ns(self) -> int:
        """When the next plan is due."""
        return self._cadence.due_ns

    def see(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Let the policy look at an image before it is asked; a failure shows when it is.

        Args:
            camera: Which.
            stamp_ns: When it was captured.
            image: RGB of shape (H, W, 3).
        """
        with suppress(Exception):
            self._policy.see(camera, stamp_ns, image)

    def question(
        self, observations: Sequence[Observation] | str, slowest: str
    ) -> Question | Refusal:
        """Return what to ask, or why the policy must not be asked; then the next try comes soon.

        Args:
            observations: The newest last, or in words why there are none.
            slowest: What a newer one would wait for, in words.
        """
        refusal = self._refusal(observations, slowest)
        if refusal is not None or isinstance(observations, str):
            assert refusal is not None
            self.failed()
            return refusal
        self._cadence.asked(self._now_ns())
        newest_ns = self._asked_ns = observations[-1].stamp_ns
        executed = self.executed.since_last(newest_ns) if self.executed else None
        return Question(observations, self._age_s(observations[-1]), executed)

    def answer(self, question: Question) -> Answer:
        """Return what the policy says; may run in another thread.

        What passed since the question was put was spent on images that the policy was looking at,
        and counts as its vision. Call `failed` if the chunk is not sent.
        """
        begin_ns, stamp_begin_ns = self._now_ns(), self._stamp_now_ns()
        now_s = (stamp_begin_ns - question.observations[-1].stamp_ns) * 1e-9
        deadline_ns = None
        if self._deadline_s > 0.0:
            deadline_ns = begin_ns + round((self._deadline_s - now_s) * 1e9)
        prediction, refusal = None, None
        try:
            if question.executed is not None:
                self._policy.executed(question.executed)
            prediction = self._policy.infer(question.observations, deadline_ns)
        except Exception as error:  # whatever a library raises about one observation costs that
            refusal = Refusal(NoChunk.POLICY_FAILED, in_words(error))
        took_ns = self._now_ns() - begin_ns
        latency_s = now_s + took_ns * 1e-9
        if prediction is not None:
            set_s = (self._stamp_now_ns() - stamp_begin_ns - took_ns) * 1e-9
            refusal = self._lateness(latency_s, set_s)
        return Answer(prediction, refusal, question.age_s, now_s - question.age_s, latency_s)

    def failed(self) -> None:
        """Take note that an attempt came to nothing: the next is made after a short while."""
        self._cadence.failed(self._now_ns())

    def _age_s(self, observation: Observation) -> float:
        return (self._stamp_now_ns() - observation.stamp_ns) * 1e-9

    def _refusal(self, observations: Sequence[Observation] | str, slowest: str) -> Refusal | None:
        """Return why the policy must not be asked about these; None if it may."""
        if isinstance(observations, str):
            return Refusal(NoChunk.NO_OBSERVATION, observations)
        newest = observations[-1]
        age_s, limit_s = self._age_s(newest), self._limits.camera_timeout_s
        if age_s > limit_s:
            return Refusal(
                NoChunk.STALE_OBSERVATION,
                f"newest observation is {age_s:.2f} s old (limit {limit_s} s,"
                f" limits.camera_timeout_s): there is no newer {slowest}",
            )
        if age_s < -_CLOCK_TOLERANCE_S:
            return Refusal(
                NoChunk.FUTURE_OBSERVATION,
                f"newest observation is {-age_s:.3f} s in the future: synchronise the clocks",
            )
        asked_ns = self._asked_ns
        if asked_ns is not None and 0 <= asked_ns - newest.stamp_ns < SET_BACK_NS:
            return Refusal(
                NoChunk.NOTHING_NEW,
                f"nothing new since the last chunk: there is no newer {slowest}",
            )
        return None

    def _lateness(self, latency_s: float, set_s: float) -> Refusal | None:
        """Return why a chunk that is there may not be sent any more; None if it may."""
        limit_s = self._limits.chunk_timeout_s
        if abs(set_s) > _CLOCK_SET_S:
            return Refusal(
                NoChunk.CLOCK_SET,
                f"the clock was set by {set_s:.2f} s while the policy was asked",
            )
        if latency_s > limit_s:
            return Refusal(
                NoChunk.TOO_LATE,
                f"chunk was there {latency_s:.2f} s after its observation (limit {limit_s} s,"
                " limits.chunk_timeout_s): this machine is too slow, or busy",
            )
        return None
