"""A policy on a running robot: asked only about the present, and never late in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from carp_ros.inference.observation import Image
from carp_ros.inference.track import SET_BACK_NS
from carp_ros.policies.latency import LatencyTracker, RollingQuantile
from carp_ros.policies.policy import INFERENCE_STAGES, Policy, Prediction
from carp_ros.refusal import in_words
from carp_ros.rig import LimitsConfig
from carp_ros.types import Observation

_CLOCK_TOLERANCE_S = 0.005  # as control/servo.py
_CLOCK_SET_S = 0.05  # no two readings of two clocks that run alike are that far apart
_WINDOW = 100

STAGES = ("image_age", *INFERENCE_STAGES)
"""From capture to chunk: how old the observation was, the three stages, and all of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one observation.

    Attributes:
        prediction: What the policy says; None if nothing.
        refusal: Why its chunk must not be sent; empty if it may.
        image_age_s: How old the observation was when it was chosen.
        looking_s: How long the policy was then still looking at images that came before.
        latency_s: From the observation to the chunk.
    """

    prediction: Prediction | None
    refusal: str
    image_age_s: float
    looking_s: float
    latency_s: float

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long each of `STAGES` took; empty without a prediction."""
        if self.prediction is None:
            return {}
        stages = self.prediction.stages
        vision_s = self.looking_s + stages.vision
        named = (self.image_age_s, stages.preprocess, vision_s, stages.decode, self.latency_s)
        return dict(zip(STAGES, named))


class LivePolicy:
    """Asks a policy, and refuses what is too old before and after.

    Args:
        policy: Makes the plans; its deadlines count by `now_ns`.
        limits: How old images and chunks may be.
        deadline_s: When a chunk shall be there, counted from its observation; 0 for no deadline.
        now_ns: The clock of the policy's deadlines.
        stamp_now_ns: The clock of the observations' stamps.
    """

    def __init__(
        self,
        policy: Policy,
        limits: LimitsConfig,
        deadline_s: float,
        now_ns: Callable[[], int],
        stamp_now_ns: Callable[[], int],
    ) -> None:
        self._policy = policy
        self._limits = limits
        self._deadline_s = deadline_s
        self._now_ns = now_ns
        self._stamp_now_ns = stamp_now_ns
        self._asked_ns = 0

    def refusal(self, observation: Observation | str, slowest: str) -> str:
        """Return why the policy must not be asked about this; empty if it may.

        Args:
            observation: Of the present, or in words why there is none.
            slowest: What a newer one would wait for, in words.
        """
        if isinstance(observation, str):
            return observation
        age_s, limit_s = self.age_s(observation), self._limits.camera_timeout_s
        if age_s > limit_s:
            return (
                f"newest observation is {age_s:.2f} s old (limit {limit_s} s,"
                f" limits.camera_timeout_s): there is no newer {slowest}"
            )
        if age_s < -_CLOCK_TOLERANCE_S:
            return f"newest observation is {-age_s:.3f} s in the future: synchronise the clocks"
        if 0 <= self._asked_ns - observation.stamp_ns < SET_BACK_NS:
            return f"nothing new since the last chunk: there is no newer {slowest}"
        return ""

    def see(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Let the policy look at an image before it is asked; what goes wrong is said when it is.

        Args:
            camera: Which.
            stamp_ns: When it was captured.
            image: RGB of shape (H, W, 3).
        """
        with suppress(Exception):
            self._policy.see(camera, stamp_ns, image)

    def ask(self, observation: Observation, age_s: float | None = None) -> Answer:
        """Return what the policy says to an observation that was not refused.

        Args:
            observation: Of the present.
            age_s: How old it was when it was chosen; None if that is now. What passed since was
                spent on images that the policy was looking at, and counts as its vision.
        """
        begin_ns, stamp_begin_ns = self._now_ns(), self._stamp_now_ns()
        now_s = (stamp_begin_ns - observation.stamp_ns) * 1e-9
        chosen_s = now_s if age_s is None else age_s
        self._asked_ns = observation.stamp_ns
        deadline_ns = None
        if self._deadline_s > 0.0:
            deadline_ns = self._now_ns() + round((self._deadline_s - now_s) * 1e9)
        refusal = ""
        prediction = None
        try:
            prediction = self._policy.infer(observation, deadline_ns)
        except Exception as error:  # whatever a library raises about one observation costs that
            refusal = in_words(error)
        took_ns = self._now_ns() - begin_ns
        latency_s, limit_s = now_s + took_ns * 1e-9, self._limits.chunk_timeout_s
        if prediction is not None:
            set_s = (self._stamp_now_ns() - stamp_begin_ns - took_ns) * 1e-9
            if abs(set_s) > _CLOCK_SET_S:
                refusal = f"the clock was set by {set_s:.2f} s while the policy was asked"
            elif latency_s > limit_s:
                refusal = (
                    f"chunk was there {latency_s:.2f} s after its observation (limit {limit_s} s,"
                    " limits.chunk_timeout_s): this machine is too slow, or busy"
                )
        return Answer(prediction, refusal, chosen_s, now_s - chosen_s, latency_s)

    def age_s(self, observation: Observation) -> float:
        """Return how old an observation is, in [s]."""
        return (self._stamp_now_ns() - observation.stamp_ns) * 1e-9


class InferenceLog:
    """Keeps what a policy's answers were like, for whoever watches.

    Args:
        limits: How late a chunk may be.
        step_s: Between two steps of a chunk.
    """

    def __init__(self, limits: LimitsConfig, step_s: float) -> None:
        self._step_s = step_s
        self._latency = LatencyTracker(limits.chunk_timeout_s)
        self._quantiles = {
            name: (RollingQuantile(0.5, _WINDOW, 3), RollingQuantile(0.99, _WINDOW, 3))
            for name in STAGES
        }
        self._refusals: Counter[str] = Counter()
        self.refusal = ""
        """Why the newest attempt led to no chunk; empty if it did."""
        self.sent = 0
        self.coarse = 0
        self.out_of_range: tuple[str, ...] = ()

    def take(self, answer: Answer) -> None:
        """Take note of an answer; it was sent unless it was refused."""
        if answer.prediction is not None:
            self._latency.add(answer.latency_s)
            for name, seconds in answer.stage_seconds.items():
                for quantile in self._quantiles[name]:
                    quantile.add(seconds)
            self.coarse += answer.prediction.is_coarse
            self.out_of_range = answer.prediction.out_of_range
        if answer.refusal:
            self.refuse(answer.refusal)
        else:
            self.sent += 1
            self.refusal = ""

    def refuse(self, why: str) -> None:
        """Take note of why there is no chunk."""
        self.refusal = why
        self._refusals[kind_of(why)] += 1

    def figures(self) -> dict[str, str]:
        """Return what there is to say, as text by name."""
        latency = self._latency
        figures = {"sent": str(self.sent)}
        for name, (p50, p99) in self._quantiles.items():
            if p50.value is not None and p99.value is not None:
                figures[f"{name}_ms_p50"] = f"{p50.value * 1e3:.1f}"
                figures[f"{name}_ms_p99"] = f"{p99.value * 1e3:.1f}"
        if latency.p95_s is not None:
            figures["latency_ms_p95"] = f"{latency.p95_s * 1e3:.1f}"
            figures["steps_past_on_arrival"] = str(latency.late_steps(self._step_s))
        figures |= {"over_budget": str(latency.over_budget), "coarse": str(self.coarse)}
        return figures | {f"no chunk: {why}": str(n) for why, n in self._refusals.most_common()}


def kind_of(why: str) -> str:
    """Return a reason without its numbers, so that those of one kind are counted together."""
    words = why.partition(":")[0].partition(";")[0].partition(" (")[0].split()
    return " ".join("..." if any(c.isdigit() for c in word) else word for word in words)
