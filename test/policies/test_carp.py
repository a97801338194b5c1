import dataclasses

import numpy as np
import pytest

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import graph_names, load_bundle
from carp_ros.inference.layout import vector_from_tool
from carp_ros.inference.session import OnnxSession
from carp_ros.policies.carp import CarpPolicy
from carp_ros.policies.load import load_policy
from carp_ros.types import Observation, Pose

from ..tiny_bundle import SHARES, actions_for, log_likelihood, write_tiny_bundle

TOOL = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
STATE = vector_from_tool(TOOL, 0.5)
MS = 1_000_000


class Clock:
    """Time that passes when told."""

    def __init__(self):
        self.now_ns = 1_000_000_000

    def __call__(self):
        return self.now_ns


class SlowSession:
    """A session that takes as long as told, by the clock of the test."""

    def __init__(self, session, clock, takes_ms):
        self.session, self.clock, self.takes_ms = session, clock, takes_ms
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        self.clock.now_ns += self.takes_ms * MS
        return self.session.run(inputs)


class Bench:
    """The tiny policy; encoder 20 ms, each scale 10 ms, decoder 5 ms: 55 ms in all."""

    def __init__(self, folder, **options):
        self.clock = Clock()
        manifest = load_bundle(folder).manifest
        takes_ms = {"encoder": 20, "decoder": 5}
        self.sessions = {
            name: SlowSession(
                OnnxSession(folder / f"{name}.onnx"), self.clock, takes_ms.get(name, 10)
            )
            for name in graph_names(3)
        }
        self.policy = CarpPolicy(manifest, self.sessions, 0, self.clock, **options)

    def infer(self, within_ms=None):
        deadline_ns = None if within_ms is None else self.clock.now_ns + within_ms * MS
        return self.policy.infer(observation(), deadline_ns)

    def learn(self):
        for _ in range(10):
            self.infer()


@pytest.fixture
def bench(tiny_bundle):
    return Bench(tiny_bundle)


def observation(brightness=0):
    image = np.full((240, 320, 3), brightness, np.uint8)
    images = {"wrist_cam": image, "third_cam": image}
    return Observation(7_000, images, dict.fromkeys(images, 7_000), TOOL, 0.5, np.zeros(6))


def test_a_chunk_is_what_the_graphs_say(bench):
    prediction = bench.infer()
    chunk, expected = prediction.chunk, actions_for(STATE)
    np.testing.assert_allclose(chunk.positions, expected[:, :3], atol=1e-6)
    np.testing.assert_allclose(np.abs(chunk.quaternions @ TOOL.quaternion), 1.0, atol=1e-6)
    np.testing.assert_allclose(chunk.gripper, 0.5, atol=1e-6)
    assert (chunk.stamp_ns, chunk.times_ns[3]) == (7_000, 7_000 + 300 * MS)
    assert (prediction.scales_done, prediction.scales, prediction.is_coarse) == (3, 3, False)


def test_keys_and_values_of_each_scale_reach_the_next(bench):
    assert bench.infer().confidence == pytest.approx(log_likelihood(3))


def test_tokens_come_in_the_order_of_the_scales(bench):
    inputs = {
        "state": STATE.astype(np.float32)[None],
        "image_wrist_cam": np.zeros((1, 24, 32, 3), np.uint8),
        "image_third_cam": np.zeros((1, 24, 32, 3), np.uint8),
    }
    assert bench.policy.decode(inputs).tokens.tolist() == [0] * 10 + [1] * 20 + [2] * 40


def test_the_stages_are_timed(bench):
    stages = bench.infer().stages
    assert (stages.preprocess, stages.vision, stages.decode) == pytest.approx((0.0, 0.02, 0.035))
    assert stages.total == pytest.approx(0.055)


def test_all_scales_are_run_when_the_deadline_allows(bench):
    bench.learn()
    assert bench.infer(within_ms=60).scales_done == 3


@pytest.mark.parametrize(("within_ms", "done"), [(50, 2), (44, 1), (10, 1)])
def test_a_deadline_ends_the_loop_in_time_with_what_there_is(bench, within_ms, done):
    bench.learn()
    begin_ns = bench.clock.now_ns
    prediction = bench.infer(within_ms)
    assert (prediction.scales_done, prediction.is_coarse) == (done, True)
    assert prediction.confidence == pytest.approx(log_likelihood(done))
    expected = actions_for(STATE, sum(SHARES[:done]))
    np.testing.assert_allclose(prediction.chunk.positions, expected[:, :3], atol=1e-6)
    if within_ms > 35:  # what encoder, one scale and decoder take can't be saved
        assert bench.clock.now_ns - begin_ns <= within_ms * MS


def test_a_scale_whose_time_is_unknown_is_run(bench):
    assert bench.infer(within_ms=40).scales_done == 3


def test_a_scale_that_was_slow_once_is_tried_again_and_kept_when_it_is_fast(bench):
    bench.sessions["scale_2"].takes_ms = 100
    bench.learn()
    assert bench.infer(within_ms=60).scales_done == 2
    bench.sessions["scale_2"].takes_ms = 10
    done = [bench.infer(within_ms=60).scales_done for _ in range(100)]
    first = done.index(3)
    assert 10 < first < 60
    assert done[first:] == [3] * (100 - first)


def test_a_scale_that_stays_slow_is_tried_seldom(bench):
    bench.sessions["scale_2"].takes_ms = 100
    bench.learn()
    done = [bench.infer(within_ms=60).scales_done for _ in range(200)]
    assert 0 < done.count(3) < 10


def test_a_last_scale_is_kept_to_whatever_the_time(tiny_bundle):
    bench = Bench(tiny_bundle, last_scale=1)
    assert bench.infer().scales_done == 2
    assert bench.sessions["scale_2"].runs == 0


def test_a_last_scale_that_does_not_exist_is_refused(tiny_bundle):
    with pytest.raises(ValueError, match="last scale is 3; expected 0 to 2"):
        Bench(tiny_bundle, last_scale=3)


def test_a_missing_session_is_named(bench):
    sessions = {name: s for name, s in bench.sessions.items() if name != "scale_1"}
    with pytest.raises(ValueError, match=r"no sessions for \['scale_1'\]"):
        CarpPolicy(bench.policy.manifest, sessions, 0, bench.clock)


def test_actions_of_another_shape_are_refused(bench):
    policy = bench.policy
    policy.manifest = dataclasses.replace(policy.manifest, horizon=8)
    with pytest.raises(PolicyError, match=r"shape \(1, 16, 10\); expected \(1, 8, 10\)"):
        bench.infer()


def test_a_state_beyond_training_is_flagged(bench):
    assert bench.infer().out_of_range == ()
    far = dataclasses.replace(observation(), tool=Pose(np.array([1.2, 0.1, 0.3]), TOOL.quaternion))
    prediction = bench.policy.infer(far)
    assert prediction.out_of_range == ("x is 1.200, in training 0.100 to 0.800",)


def test_the_number_of_the_task_reaches_the_encoder(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny", tasks=("cup", "bowl"))
    chunks = [
        load_policy(folder, task, Clock()).infer(observation()).chunk for task in ("cup", "bowl")
    ]
    # the second task's number, 1, is what its latent begins with
    np.testing.assert_allclose(chunks[1].positions - chunks[0].positions, 1.0, atol=1e-6)
