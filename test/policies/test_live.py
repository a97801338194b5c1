import dataclasses
import re

import numpy as np
import pytest

from carp_ros.errors import DeviceError, PolicyError
from carp_ros.policies.live import InferenceLog, LivePolicy
from carp_ros.policies.policy import Prediction, StageSeconds
from carp_ros.rig import LimitsConfig
from carp_ros.types import Chunk, Observation, Pose

MS = 1_000_000
LIMITS = LimitsConfig((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
START_NS = 5_000 * MS


class Clock:
    """Monotonic time; stamps are two seconds ahead of it."""

    def __init__(self):
        self.now_ns = START_NS

    def monotonic(self):
        return self.now_ns

    def ros(self):
        return self.now_ns + 2_000 * MS


class Thinker:
    """A policy that takes its time."""

    def __init__(self, clock, takes_ms):
        self.clock, self.takes_ms, self.deadlines_ns = clock, takes_ms, []
        self.error = None
        self.seen = []
        self.scales_done = 3

    def see(self, camera, stamp_ns, image):
        self.seen.append((camera, stamp_ns, image.shape))
        if self.error:
            raise self.error

    def infer(self, observation, deadline_ns=None):
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
        stages = StageSeconds(0.001, 0.02, 0.03)
        return Prediction(chunk, -0.5, self.scales_done, 3, stages, ())


class Desk:
    """A live policy with its clock."""

    def __init__(self, takes_ms=50, deadline_s=0.0):
        self.clock = Clock()
        self.policy = Thinker(self.clock, takes_ms)
        self.live = LivePolicy(
            self.policy, LIMITS, deadline_s, self.clock.monotonic, self.clock.ros
        )
        self.log = InferenceLog(LIMITS, 0.1)

    def observation(self, age_ms=40):
        stamp_ns = self.clock.ros() - age_ms * MS
        pose = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
        return Observation(stamp_ns, {}, {}, pose, 0.0, np.zeros(6))

    def answer(self, age_ms=40):
        answer = self.live.ask(self.observation(age_ms))
        self.log.take(answer)
        return answer


def test_an_observation_of_the_present_is_not_refused():
    desk = Desk()
    assert desk.live.refusal(desk.observation(), "") == ""


@pytest.mark.parametrize(
    ("age_ms", "reason"),
    [
        (
            260,
            r"newest observation is 0\.26 s old \(limit 0\.25 s, .*\): there is no newer tool pose",
        ),
        (-20, r"0\.020 s in the future: synchronise the clocks"),
    ],
)
def test_the_past_and_the_future_are_refused(age_ms, reason):
    desk = Desk()
    assert re.search(reason, desk.live.refusal(desk.observation(age_ms), "tool pose"))


def test_why_there_is_no_observation_is_why_there_is_no_chunk():
    assert Desk().live.refusal("no image of wrist_cam yet", "") == "no image of wrist_cam yet"


def test_the_same_image_is_not_asked_about_twice():
    desk = Desk(takes_ms=1)
    observation = desk.observation()
    desk.live.ask(observation)
    why = desk.live.refusal(observation, "tool pose")
    assert why == "nothing new since the last chunk: there is no newer tool pose"
    newer = dataclasses.replace(observation, stamp_ns=observation.stamp_ns + 1)
    assert desk.live.refusal(newer, "") == ""


def test_an_answer_counts_its_time_from_the_capture_on():
    answer = Desk(takes_ms=50).answer(age_ms=40)
    assert answer.refusal == ""
    assert (answer.image_age_s, answer.latency_s) == pytest.approx((0.04, 0.09))
    assert answer.stage_seconds == pytest.approx(
        {"image_age": 0.04, "preprocess": 0.001, "vision": 0.02, "decode": 0.03, "total": 0.09}
    )


def test_a_look_ahead_that_fails_is_no_matter_before_the_policy_is_asked():
    desk = Desk()
    image = np.zeros((4, 6, 3), np.uint8)
    desk.policy.error = DeviceError("the graph can't be run")
    desk.live.see("wrist_cam", 7, image)
    assert desk.policy.seen == [("wrist_cam", 7, (4, 6, 3))]
    assert desk.answer().refusal == "the graph can't be run"


def test_what_it_was_still_looking_at_when_an_observation_was_chosen_counts_as_vision():
    desk = Desk(takes_ms=50)
    observation = desk.observation(age_ms=40)
    desk.clock.now_ns += 6 * MS
    answer = desk.live.ask(observation, age_s=0.04)
    assert answer.stage_seconds == pytest.approx(
        {"image_age": 0.04, "preprocess": 0.001, "vision": 0.026, "decode": 0.03, "total": 0.096}
    )


def test_the_deadline_is_the_policys_clock_at_a_time_after_the_capture():
    desk = Desk(deadline_s=0.1)
    desk.answer(age_ms=40)
    assert desk.policy.deadlines_ns == [START_NS + 60 * MS]


def test_without_a_deadline_there_is_none():
    desk = Desk()
    desk.answer()
    assert desk.policy.deadlines_ns == [None]


def test_a_chunk_that_is_there_too_late_is_refused_and_over_budget():
    desk = Desk(takes_ms=600)
    answer = desk.answer()
    assert answer.prediction is not None
    assert "0.64 s after its observation (limit 0.5 s, limits.chunk_timeout_s)" in answer.refusal
    assert desk.log.figures()["over_budget"] == "1"
    assert desk.log.sent == 0


def test_a_policy_without_a_plan_says_why():
    desk = Desk()
    desk.policy.error = PolicyError("action 3 of step 0 is nan")
    answer = desk.answer()
    assert (answer.prediction, answer.refusal) == (None, "action 3 of step 0 is nan")
    assert desk.log.refusal == "action 3 of step 0 is nan"
    assert answer.stage_seconds == {}


def test_a_chunk_that_was_sent_clears_the_reason():
    desk = Desk()
    desk.log.refuse("no image of wrist_cam yet")
    desk.answer()
    assert (desk.log.refusal, desk.log.sent) == ("", 1)


def test_the_log_has_latencies_by_stage_and_what_is_past_on_arrival():
    desk = Desk(takes_ms=110)
    for _ in range(20):
        desk.answer(age_ms=40)
    figures = desk.log.figures()
    assert (figures["image_age_ms_p50"], figures["total_ms_p99"]) == ("40.0", "150.0")
    assert (figures["vision_ms_p50"], figures["decode_ms_p50"]) == ("20.0", "30.0")
    assert (figures["latency_ms_p95"], figures["steps_past_on_arrival"]) == ("150.0", "2")
    assert (figures["sent"], figures["over_budget"], figures["coarse"]) == ("20", "0", "0")


def test_coarse_chunks_are_counted():
    desk = Desk()
    desk.policy.scales_done = 1
    desk.answer()
    assert desk.log.figures()["coarse"] == "1"


def test_reasons_of_one_kind_are_counted_together():
    log = Desk().log
    for age in (0.26, 0.31):
        log.refuse(f"newest observation is {age} s old (limit 0.25 s): there is no newer tool pose")
    log.refuse("no image of wrist_cam yet")
    figures = log.figures()
    assert figures["no chunk: newest observation is ... s old"] == "2"
    assert figures["no chunk: no image of wrist_cam yet"] == "1"
