"""Decides when to ask a policy, with which observations, and whether its chunk may still be sent.

The policy node uses this loop in real time, and the lockstep evaluation in simulated time; there is
no other. It reads no clock but those passed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from carp_ros.errors import PolicyError
from carp_ros.inference.observation import Image
from carp_ros.inference.track import SET_BACK_NS
from carp_ros.policies.cadence import Cadence
from carp_ros.policies.executed import ExecutedSteps
from carp_ros.policies.policy import VISION, Policy, Prediction
from carp_ros.refusal import in_words
from carp_ros.rig import LimitsConfig
from carp_ros.types import Chunk, Observation

_PATIENCE_NS = 100_000_000  # three frames at 30 Hz
_RETRY_NS = 200_000_000  # after a failed attempt
_CLOCK_TOLERANCE_S = 0.005  # as in control/servo.py
_CLOCK_SET_S = 0.05  # more than readings of two unadjusted clocks can differ


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
    """Why there is no chunk: a code for decisions, and a text for people."""

    code: NoChunk
    text: str


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """The observations that a policy is asked for a plan of.

    Attributes:
        observations: Newest last.
        age_s: Age of the newest one when it was chosen.
        executed: Commands sent to the arm since the last request, if the policy wants them.
    """

    observations: Sequence[Observation]
    age_s: float
    executed: Chunk | None = None


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """The outcome of a request.

    Attributes:
        prediction: The policy's result; None if it failed.
        refusal: Why its chunk must not be sent; None if it may.
        image_age_s: Age of the newest observation when it was chosen.
        encoding_s: Time then still spent on encoding earlier images.
        latency_s: Time from the observation to the chunk.
    """

    prediction: Prediction | None
    refusal: Refusal | None
    image_age_s: float
    encoding_s: float
    latency_s: float

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Duration of each stage: `image_age`, the policy's own, `total`; empty without a plan.

        The image's age and the policy's stages approximately add up to the total.
        """
        if self.prediction is None:
            return {}
        stages = dict(self.prediction.stages)
        if self.encoding_s or VISION in stages:
            stages[VISION] = stages.get(VISION, 0.0) + self.encoding_s
        return {"image_age": self.image_age_s, **stages, "total": self.latency_s}

    @property
    def chunk(self) -> Chunk | None:
        """The chunk to send; None if there is none that may be sent."""
        return self.prediction.chunk if self.prediction and not self.refusal else None


class InferenceScheduler:
    """Asks a policy whenever a plan is due and there is a new observation.

    Args:
        policy: Makes the plans; its deadlines refer to `now_ns`.
        limits: Limits on the age of images and chunks.
        period_s: Time between plans; None for the policy's execution horizon.
        deadline_s: Deadline of a chunk, from its observation's stamp; 0 for none.
        now_ns: The clock of the cadence and of the policy's deadlines.
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
        self._instruction: str | None = None  # that the policy is yet to be told
        self._followed: tuple[int, int] | None = None  # likewise
        self.executed = ExecutedSteps(policy.spec.step_s) if policy.spec.wants_executed else None
        """Collects the commands sent to the arm, if the policy wants them."""

    def restart(self) -> None:
        """Make a plan due now."""
        self._cadence.restart(self._now_ns())

    def instruct(self, instruction: str) -> None:
        """Follow another instruction from the next plan on, and make that due now.

        Raises:
            PolicyError: If the policy takes no instruction.
        """
        spec = self._policy.spec
        if not spec.takes_instruction:
            raise PolicyError(
                f"instruction is {instruction!r}, but bundle {spec.name} takes none: it does"
                f" {', '.join(spec.tasks)}; choose a bundle whose policy follows instructions"
            )
        self._instruction = instruction
        self.restart()

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Register that the arm follows a plan; see `Policy.followed`."""
        self._followed = stamp_ns, late_ns

    def is_due(self, stamp_ns: int | None) -> bool:
        """Return whether to ask about the newest complete observation, with this stamp.

        Args:
            stamp_ns: Its stamp, None if there is none; call whenever it may have changed.
        """
        return self._cadence.offer(self._now_ns(), stamp_ns)

    def is_overdue(self) -> bool:
        """Return whether a plan is due and nothing new came in time; `request` says why."""
        return self._cadence.is_overdue(self._now_ns())

    def is_near(self, within_ns: int) -> bool:
        """Return whether a plan is due, or will be within this time."""
        return self._cadence.is_near(self._now_ns(), within_ns)

    @property
    def due_ns(self) -> int:
        """When the next plan is due."""
        return self._cadence.due_ns

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Let the policy encode an image in advance; a failure is reported when it is asked.

        Args:
            camera: Its name.
            stamp_ns: Capture time.
            image: RGB of shape (H, W, 3).
        """
        with suppress(Exception):
            self._policy.encode_image(camera, stamp_ns, image)

    def request(
        self, observations: Sequence[Observation] | str, slowest: str
    ) -> InferenceRequest | Refusal:
        """Return what to ask, or why the policy must not be asked; the next try then comes soon.

        Args:
            observations: Newest last, or the reason why there are none.
            slowest: The stream that a newer observation waits for.
        """
        refusal = self._refusal(observations, slowest)
        if refusal is not None or isinstance(observations, str):
            assert refusal is not None
            self.failed()
            return refusal
        self._cadence.asked(self._now_ns())
        newest_ns = self._asked_ns = observations[-1].stamp_ns
        executed = self.executed.since_last(newest_ns) if self.executed else None
        return InferenceRequest(observations, self._age_s(observations[-1]), executed)

    def infer(self, request: InferenceRequest) -> InferenceResult:
        """Ask the policy; may run in another thread.

        The time since `request` was spent on images that the policy was encoding and counts
        towards its vision stage. Call `failed` if the chunk is not sent.
        """
        begin_ns, stamp_begin_ns = self._now_ns(), self._stamp_now_ns()
        now_s = (stamp_begin_ns - request.observations[-1].stamp_ns) * 1e-9
        deadline_ns = None
        if self._deadline_s > 0.0:
            deadline_ns = begin_ns + round((self._deadline_s - now_s) * 1e9)
        prediction, refusal = None, None
        try:
            if self._followed is not None:
                followed, self._followed = self._followed, None
                self._policy.followed(*followed)
            if self._instruction is not None:
                instruction, self._instruction = self._instruction, None
                self._policy.reset("", instruction)
            if request.executed is not None:
                self._policy.executed(request.executed)
            prediction = self._policy.infer(request.observations, deadline_ns)
        except Exception as error:  # any library error only costs this one observation
            refusal = Refusal(NoChunk.POLICY_FAILED, in_words(error))
        took_ns = self._now_ns() - begin_ns
        latency_s = now_s + took_ns * 1e-9
        if prediction is not None:
            set_s = (self._stamp_now_ns() - stamp_begin_ns - took_ns) * 1e-9
            refusal = self._lateness(latency_s, set_s)
        return InferenceResult(prediction, refusal, request.age_s, now_s - request.age_s, latency_s)

    def failed(self) -> None:
        """Register a failed attempt; the next follows after a short time."""
        self._cadence.failed(self._now_ns())

    def _age_s(self, observation: Observation) -> float:
        return (self._stamp_now_ns() - observation.stamp_ns) * 1e-9

    def _refusal(self, observations: Sequence[Observation] | str, slowest: str) -> Refusal | None:
        """Return why the policy must not be asked about these observations; None if it may."""
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
        """Return why a finished chunk may no longer be sent; None if it may."""
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
