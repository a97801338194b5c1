import dataclasses
import re

import numpy as np
import pytest

from carp_ros.errors import DeviceError, PolicyError
from carp_ros.inference.layout import TOOL
from carp_ros.inference.policy_spec import ObservationSpec, PolicySpec
from carp_ros.policies.inference_log import InferenceLog
from carp_ros.policies.inference_scheduler import (
    InferenceRequest,
    InferenceScheduler,
    NoChunk,
    Refusal,
)
from carp_ros.policies.policy import Prediction
from carp_ros.rig import LimitsConfig
from carp_ros.types import Chunk, Observation, Pose

MS = 1_000_000
LIMITS = LimitsConfig((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
START_NS = 5_000 * MS
LAYOUT = TOOL.spanning((-1.0,) * 10, (1.0,) * 10)
SPEC = PolicySpec("b", "k", ("cup",), {}, ObservationSpec(), LAYOUT, LAYOUT, 0.1, 16, 8)


class Clock:
    """Monotonic time; stamps are two seconds ahead of it."""

    def __init__(self):
        self.now_ns = START_NS

    def monotonic(self):
        return self.now_ns

    def ros(self):
        return self.now_ns + 2_000 * MS


class FakePolicy:
    """A policy that takes its time."""

    def __init__(self, clock, takes_ms):
        self.clock, self.takes_ms, self.deadlines_ns = clock, takes_ms, []
        self.error = None
        self.seen = []
        self.told = []
        self.reduced = False
        self.spec = SPEC

    def encode_image(self, camera, stamp_ns, image):
        self.seen.append((camera, stamp_ns, image.shape))
        if self.error:
            raise self.error

    def reset(self, task, instruction=""):
        self.told.append((task, instruction))

    def executed(self, chunk):
        self.told.append(chunk)

    def followed(self, stamp_ns, late_ns):
        self.told.append((stamp_ns, late_ns))

    def infer(self, observations, deadline_ns=None):
        observation = observations[-1]
        self.deadlines_ns.append(deadline_ns)
        self.clock.now_ns += self.takes_ms * MS
        if self.error:
            raise self.error
        chunk = Chunk(
            observation.stamp_ns,
            observation.stamp_ns + np.arange(2) * 100 * MS,
            np.zeros((2, 3)),
            np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)),
            np.zeros(2),
        )
        stages = {"preprocess": 0.001, "vision": 0.02, "decode": 0.03}
        return Prediction(
            observation.stamp_ns, np.zeros((2, 10)), chunk, stages, {}, reduced=self.reduced
        )


class Desk:
    """A live policy with its clock."""

    def __init__(self, takes_ms=50, deadline_s=0.0):
        self.clock = Clock()
        self.policy = FakePolicy(self.clock, takes_ms)
        self.scheduler = InferenceScheduler(
            self.policy, LIMITS, None, deadline_s, self.clock.monotonic, self.clock.ros
        )
        self.log = InferenceLog(LIMITS, 0.1)

    def observation(self, age_ms=40):
        stamp_ns = self.clock.ros() - age_ms * MS
        pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        return Observation(stamp_ns, {}, {}, pose, 0.0, np.zeros(6))

    def result(self, age_ms=40):
        request = self.scheduler.request([self.observation(age_ms)], "tool pose")
        assert isinstance(request, InferenceRequest)
        result = self.scheduler.infer(request)
        self.log.take(result)
        return result

    def refusal(self, observation, slowest="tool pose"):
        """Return why the policy is not asked about this; None if it is."""
        observations = observation if isinstance(observation, str) else [observation]
        request = self.scheduler.request(observations, slowest)
        return request if isinstance(request, Refusal) else None


def test_an_observation_of_the_present_is_not_refused():
    desk = Desk()
    assert desk.refusal(desk.observation()) is None


@pytest.mark.parametrize(
    ("age_ms", "code", "reason"),
    [
        (
            260,
            NoChunk.STALE_OBSERVATION,
            r"newest observation is 0\.26 s old \(limit 0\.25 s, .*\): there is no newer tool pose",
        ),
        (-20, NoChunk.FUTURE_OBSERVATION, r"0\.020 s in the future: synchronise the clocks"),
    ],
)
def test_the_past_and_the_future_are_refused(age_ms, code, reason):
    desk = Desk()
    refusal = desk.refusal(desk.observation(age_ms))
    assert refusal.code is code
    assert re.search(reason, refusal.text)


def test_why_there_is_no_observation_is_why_there_is_no_chunk():
    refusal = Desk().refusal("no image of wrist_cam yet")
    assert refusal == Refusal(NoChunk.NO_OBSERVATION, "no image of wrist_cam yet")


def test_the_same_image_is_not_asked_about_twice():
    desk = Desk(takes_ms=1)
    observation = desk.observation()
    assert desk.refusal(observation) is None
    refusal = desk.refusal(observation)
    assert refusal.code is NoChunk.NOTHING_NEW
    assert refusal.text == "nothing new since the last chunk: there is no newer tool pose"
    newer = dataclasses.replace(observation, stamp_ns=observation.stamp_ns + 1)
    assert desk.refusal(newer) is None


def test_an_answer_counts_its_time_from_the_capture_on():
    result = Desk(takes_ms=50).result(age_ms=40)
    assert result.refusal is None
    assert (result.image_age_s, result.latency_s) == pytest.approx((0.04, 0.09))
    assert result.stage_seconds == pytest.approx(
        {"image_age": 0.04, "preprocess": 0.001, "vision": 0.02, "decode": 0.03, "total": 0.09}
    )


def test_a_look_ahead_that_fails_is_no_matter_before_the_policy_is_asked():
    desk = Desk()
    image = np.zeros((4, 6, 3), np.uint8)
    desk.policy.error = DeviceError("the graph can't be run")
    desk.scheduler.encode_image("wrist_cam", 7, image)
    assert desk.policy.seen == [("wrist_cam", 7, (4, 6, 3))]
    assert desk.result().refusal == Refusal(NoChunk.POLICY_FAILED, "the graph can't be run")


def test_the_time_spent_on_earlier_images_after_an_observation_was_chosen_counts_as_vision():
    desk = Desk(takes_ms=50)
    request = desk.scheduler.request([desk.observation(age_ms=40)], "")
    desk.clock.now_ns += 6 * MS
    result = desk.scheduler.infer(request)
    assert result.stage_seconds == pytest.approx(
        {"image_age": 0.04, "preprocess": 0.001, "vision": 0.026, "decode": 0.03, "total": 0.096}
    )


def test_the_deadline_is_the_policys_clock_at_a_time_after_the_capture():
    desk = Desk(deadline_s=0.1)
    desk.result(age_ms=40)
    assert desk.policy.deadlines_ns == [START_NS + 60 * MS]


def test_without_a_deadline_there_is_none():
    desk = Desk()
    desk.result()
    assert desk.policy.deadlines_ns == [None]


def test_a_chunk_that_is_there_too_late_is_refused_and_over_budget():
    desk = Desk(takes_ms=600)
    result = desk.result()
    assert result.prediction is not None
    assert (
        "0.64 s after its observation (limit 0.5 s, limits.chunk_timeout_s)" in result.refusal.text
    )
    assert result.refusal.code is NoChunk.TOO_LATE
    assert desk.log.figures()["over_budget"] == "1"
    assert desk.log.sent == 0


def test_a_policy_without_a_plan_says_why():
    desk = Desk()
    desk.policy.error = PolicyError("action 3 of step 0 is nan")
    result = desk.result()
    refusal = Refusal(NoChunk.POLICY_FAILED, "action 3 of step 0 is nan")
    assert (result.prediction, result.refusal) == (None, refusal)
    assert desk.log.refusal == refusal
    assert result.stage_seconds == {}


def test_a_chunk_that_was_sent_clears_the_reason():
    desk = Desk()
    desk.log.refuse(Refusal(NoChunk.NO_OBSERVATION, "no image of wrist_cam yet"))
    desk.result()
    assert (desk.log.refusal, desk.log.sent) == (None, 1)


def test_the_log_has_latencies_by_stage_and_what_is_past_on_arrival():
    desk = Desk(takes_ms=110)
    for _ in range(20):
        desk.result(age_ms=40)
    figures = desk.log.figures()
    assert (figures["image_age_ms_p50"], figures["total_ms_p99"]) == ("40.0", "150.0")
    assert (figures["vision_ms_p50"], figures["decode_ms_p50"]) == ("20.0", "30.0")
    assert (figures["latency_ms_p95"], figures["steps_past_on_arrival"]) == ("150.0", "2")
    assert (figures["sent"], figures["over_budget"], figures["reduced"]) == ("20", "0", "0")


def test_reduced_chunks_are_counted():
    desk = Desk()
    desk.policy.reduced = True
    desk.result()
    assert desk.log.figures()["reduced"] == "1"


def test_reasons_of_one_kind_are_counted_together():
    log = Desk().log
    for age_s in (0.26, 0.31):
        log.refuse(Refusal(NoChunk.STALE_OBSERVATION, f"newest observation is {age_s} s old"))
    log.refuse(Refusal(NoChunk.NO_OBSERVATION, "no image of wrist_cam yet"))
    figures = log.figures()
    assert figures["no chunk: the newest observation is too old"] == "2"
    assert figures["no chunk: no observation"] == "1"


def test_what_was_sent_is_told_to_a_policy_that_wants_to_know():
    desk = Desk()
    desk.policy.spec = dataclasses.replace(SPEC, wants_executed=True)
    scheduler = InferenceScheduler(
        desk.policy, LIMITS, None, 0.0, desk.clock.monotonic, desk.clock.ros
    )
    for tick in range(100):
        desk.clock.now_ns += 10 * MS
        pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        scheduler.executed.take_target(desk.clock.ros(), pose)
        scheduler.executed.take_gripper(desk.clock.ros(), 0.5)
        if tick in (49, 99):  # half a second apart
            scheduler.infer(scheduler.request([desk.observation()], ""))
    assert [len(chunk.times_ns) for chunk in desk.policy.told] == [1, 5]


def test_another_instruction_is_followed_from_the_next_plan_on_which_is_due_now():
    desk = Desk()
    desk.policy.spec = dataclasses.replace(SPEC, takes_instruction=True)
    desk.scheduler.restart()
    assert desk.scheduler.is_due(desk.clock.ros())
    desk.result()
    assert not desk.scheduler.is_due(desk.clock.ros())
    desk.scheduler.instruct("put the bowl into the pot")
    desk.clock.now_ns += 40 * MS
    assert desk.scheduler.is_due(desk.clock.ros())
    assert desk.policy.told == []
    desk.result()
    desk.clock.now_ns += 900 * MS
    desk.result()
    assert desk.policy.told == [("", "put the bowl into the pot")]


def test_the_policy_is_told_once_before_its_next_plan_which_one_the_arm_follows():
    desk = Desk()
    desk.result()
    desk.scheduler.followed(desk.clock.ros() - 40 * MS, 7)
    desk.scheduler.followed(stamp_ns := desk.clock.ros(), 8)
    assert desk.policy.told == []
    for _ in range(2):
        desk.clock.now_ns += 900 * MS
        desk.result()
    assert desk.policy.told == [(stamp_ns, 8)]


def test_a_policy_that_takes_no_instruction_refuses_one():
    desk = Desk()
    with pytest.raises(PolicyError, match=r"takes none: it does cup; choose a bundle"):
        desk.scheduler.instruct("put the bowl into the pot")


def test_any_instruction_is_a_task_of_a_policy_that_takes_them():
    takes = dataclasses.replace(SPEC, takes_instruction=True, tasks=("put it there", "do it"))
    assert takes.task_named("two_cups", "put the red cup there") == "put the red cup there"
    assert takes.task_named("wash up") == "wash up"
    with pytest.raises(ValueError, match="no task is named; bundle b can do put it there, do it"):
        takes.task_named("")
    many = dataclasses.replace(takes, tasks=tuple(map(str, range(100))))
    with pytest.raises(ValueError, match=r"18, 19 \.\.\.$"):
        many.task_named("")
