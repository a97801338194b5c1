import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.layout import vector_from_tcp_pose
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import write_inputs
from carp_ros.policies.carp import CarpPolicy
from carp_ros.policies.carp_passes import CarpPasses
from carp_ros.policies.carp_section import carp_section
from carp_ros.policies.load import load_policy
from carp_ros.types import Observation, Pose

from ..tiny_bundle import (
    SHARES,
    actions_for,
    log_likelihood,
    manifest,
    scale,
    write_manifest,
    write_tiny_bundle,
)

TOOL = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
STATE = vector_from_tcp_pose(TOOL, 0.5)
MS = 1_000_000
MODELS = Path(__file__).parents[2] / "models"


class Clock:
    """Time that passes when told."""

    def __init__(self):
        self.now_ns = 1_000_000_000

    def __call__(self):
        return self.now_ns


class SlowRuntime(OnnxRuntime):
    """A runtime whose graphs take as long as told, by the clock of the test."""

    def __init__(self, clock, takes_ms):
        super().__init__()
        self.clock, self.takes_ms, self.runs = clock, takes_ms, dict.fromkeys(takes_ms, 0)

    def session(self, path):
        session, name = super().session(path), path.stem
        bind = session.bind

        def bind_slowly(buffers):
            run = bind(buffers)

            def run_slowly():
                self.runs[name] += 1
                self.clock.now_ns += self.takes_ms[name] * MS
                run()

            return run_slowly

        session.bind = bind_slowly
        return session


class Bench:
    """The tiny policy; each camera 8 ms, condition 4 ms, each scale 10 ms, decoder 5 ms: 55 ms."""

    def __init__(self, folder, **options):
        self.clock = Clock()
        self.takes_ms = {
            "vision_wrist_cam": 8,
            "vision_third_cam": 8,
            "condition": 4,
            "scale_0": 10,
            "scale_1": 10,
            "scale_2": 10,
            "decoder": 5,
        }
        self.runtime = SlowRuntime(self.clock, self.takes_ms)
        bundle = load_bundle(folder)
        self.passes = CarpPasses(bundle, carp_section(bundle), self.runtime)
        self.policy = CarpPolicy(bundle.spec, self.passes, self.clock, **options)

    def infer(self, within_ms=None):
        deadline_ns = None if within_ms is None else self.clock.now_ns + within_ms * MS
        return self.policy.infer([observation()], deadline_ns)

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
    assert (prediction.figures["scales_done"], prediction.reduced) == (3, False)


INPUTS = {
    "state": STATE.astype(np.float32)[None],
    "image_wrist_cam": np.zeros((1, 24, 32, 3), np.uint8),
    "image_third_cam": np.zeros((1, 24, 32, 3), np.uint8),
}


def test_keys_and_values_of_each_scale_reach_the_next(bench):
    assert bench.infer().figures["confidence"] == pytest.approx(log_likelihood(3))


def test_tokens_come_in_the_order_of_the_scales(bench):
    assert bench.policy.decode(INPUTS).tokens.tolist() == [0] * 10 + [1] * 20 + [2] * 40


def test_the_stages_are_timed(bench):
    stages = bench.infer().stages
    assert stages == pytest.approx({"preprocess": 0.0, "vision": 0.02, "decode": 0.035})
    assert bench.infer().seconds == pytest.approx(0.055)


def test_all_scales_are_run_when_the_deadline_allows(bench):
    bench.learn()
    assert bench.infer(within_ms=60).figures["scales_done"] == 3


@pytest.mark.parametrize(("within_ms", "done"), [(50, 2), (44, 1), (10, 1)])
def test_a_deadline_ends_the_loop_in_time_with_what_there_is(bench, within_ms, done):
    bench.learn()
    begin_ns = bench.clock.now_ns
    prediction = bench.infer(within_ms)
    assert (prediction.figures["scales_done"], prediction.reduced) == (done, True)
    assert prediction.figures["confidence"] == pytest.approx(log_likelihood(done))
    expected = actions_for(STATE, sum(SHARES[:done]))
    np.testing.assert_allclose(prediction.chunk.positions, expected[:, :3], atol=1e-6)
    if within_ms > 35:  # what cameras, one scale and decoder take can't be saved
        assert bench.clock.now_ns - begin_ns <= within_ms * MS


def test_a_scale_whose_time_is_unknown_is_run(bench):
    assert bench.infer(within_ms=40).figures["scales_done"] == 3


def test_a_scale_that_was_slow_once_is_tried_again_and_kept_when_it_is_fast(bench):
    bench.takes_ms["scale_2"] = 100
    bench.learn()
    assert bench.infer(within_ms=60).figures["scales_done"] == 2
    bench.takes_ms["scale_2"] = 10
    done = [bench.infer(within_ms=60).figures["scales_done"] for _ in range(100)]
    first = done.index(3)
    assert 10 < first < 60
    assert done[first:] == [3] * (100 - first)


def test_a_scale_that_stays_slow_is_tried_seldom(bench):
    bench.takes_ms["scale_2"] = 100
    bench.learn()
    done = [bench.infer(within_ms=60).figures["scales_done"] for _ in range(200)]
    assert 0 < done.count(3) < 10


def test_a_last_scale_is_kept_to_whatever_the_time(tiny_bundle):
    bench = Bench(tiny_bundle, last_scale=1)
    assert bench.infer().figures["scales_done"] == 2
    assert bench.runtime.runs["scale_2"] == 0


def test_a_last_scale_that_does_not_exist_is_refused(tiny_bundle):
    with pytest.raises(ValueError, match="last_scale is 3; expected 0 to 2"):
        Bench(tiny_bundle, last_scale=3)


def test_actions_of_another_shape_are_refused(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny", horizon=8)
    with pytest.raises(ValueError, match=r"shape \(1, 16, 10\); the manifest says \(1, 8, 10\)"):
        Bench(folder)


@pytest.mark.parametrize(
    ("graphs", "reason"),
    [
        ({"scale_2.onnx": scale(1)}, r"scale_2 takes keys as float32 of shape .*is given float32"),
        ({"scale_0.onnx": scale(2)}, "scale_0 takes latent, which no graph before gives"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(tmp_path, graphs, reason):
    folder = write_tiny_bundle(tmp_path / "tiny")
    for name, graph in graphs.items():
        onnx.save(graph, folder / name)
    write_manifest(folder, manifest(folder))
    with pytest.raises(ValueError, match=reason):
        Bench(folder)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"state": np.zeros((1, 9), np.float32)}, r"state is float32 of shape \(1, 9\); expected"),
        ({"state": np.zeros((1, 10))}, r"state is float64 of shape \(1, 10\); expected float32"),
        ({"image_left_cam": np.zeros(1)}, "no input image_left_cam; expected image_wrist_cam, "),
    ],
)
def test_inputs_that_the_graphs_do_not_take_are_refused(bench, inputs, reason):
    with pytest.raises(DeviceError, match=reason):
        bench.policy.decode(INPUTS | inputs)


def test_passes_take_no_memory_once_they_are_bound(bench):
    def chunk():
        write_inputs(bench.passes.inputs, INPUTS)
        for encode in bench.passes.encoders.values():
            encode()
        bench.passes.condition()
        for run in bench.passes.scales:
            run()
        bench.passes.decode[-1]()

    def grown() -> tuple[int, int]:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(20):
            chunk()
        now, peak = tracemalloc.get_traced_memory()
        return now - before, peak - before

    chunk()
    tracemalloc.start()
    chunk()
    # what grows with the chunks grows each time; what the runtime once keeps for itself does not
    growths = [grown() for _ in range(5)]
    tracemalloc.stop()
    assert min(growth for growth, _ in growths) < STATE.astype(np.float32).nbytes
    # frames and numbers, but no array of images or of keys
    assert min(peak for _, peak in growths) < 2000


def test_what_is_read_is_there_until_the_next_run(bench):
    first = bench.policy.decode(INPUTS)
    kept = first.actions.copy()
    bench.policy.decode(INPUTS | {"state": 2 * INPUTS["state"]})
    np.testing.assert_array_equal(first.actions, kept)


def seen(bench, brightness=0, stamp_ns=7_000):
    image = observation(brightness).images["wrist_cam"]
    for camera in bench.policy.spec.cameras:
        bench.policy.encode_image(camera, stamp_ns, image)


def test_images_that_were_encoded_ahead_are_not_encoded_again(bench):
    seen(bench)
    looked = dict(bench.runtime.runs)
    prediction = bench.infer()
    assert prediction.stages["vision"] == pytest.approx(0.004)
    assert prediction.encoded_ahead == 2
    for camera in bench.policy.spec.cameras:
        assert bench.runtime.runs[f"vision_{camera}"] == looked[f"vision_{camera}"] == 1


@pytest.mark.parametrize("stamp_ns", [6_999, 7_001])
def test_an_image_of_another_moment_is_looked_at_again(bench, stamp_ns):
    seen(bench, stamp_ns=stamp_ns)
    prediction = bench.infer()
    assert prediction.stages["vision"] == pytest.approx(0.02)
    assert prediction.encoded_ahead == 0


def test_only_the_cameras_that_were_not_seen_are_looked_at(bench):
    bench.policy.encode_image("third_cam", 7_000, observation().images["third_cam"])
    assert bench.infer().stages["vision"] == pytest.approx(0.012)


def test_what_was_seen_is_used_once(bench):
    """Time begins anew with a trial of the simulated cell, and stamps come again."""
    seen(bench)
    bench.infer()
    assert bench.infer().stages["vision"] == pytest.approx(0.02)


def test_a_plan_is_the_same_whenever_its_images_are_seen():
    policy = load_policy(MODELS / "carp_cup_sim", "cup", Clock())
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 256, (480, 640, 3), np.uint8) for name in policy.spec.cameras}
    observed = dataclasses.replace(observation(), images=images)
    at_once = policy.infer([observed]).chunk
    other = rng.integers(0, 256, (480, 640, 3), np.uint8)
    for camera, image in observed.images.items():
        policy.encode_image(camera, 7_000, image)
    before = policy.infer([observed]).chunk
    np.testing.assert_array_equal(before.positions, at_once.positions)
    for camera in observed.images:
        policy.encode_image(camera, 7_000, other)
    misled = policy.infer([observed]).chunk  # it trusts the stamp, and so this test can fail
    assert not np.array_equal(misled.positions, at_once.positions)


def test_a_look_that_failed_is_repeated_when_asked(bench, monkeypatch):
    seen(bench)

    def fail():
        raise DeviceError("the graph can't be run")

    with monkeypatch.context() as patch:
        patch.setitem(bench.passes.encoders, "wrist_cam", fail)
        with pytest.raises(DeviceError):
            bench.policy.encode_image("wrist_cam", 7_000, observation().images["wrist_cam"])
    assert bench.infer().stages["vision"] == pytest.approx(0.012)


def test_a_state_beyond_training_is_flagged(bench):
    assert bench.infer().notes == ()
    far = dataclasses.replace(
        observation(), tcp_pose=Pose(np.array([1.2, 0.1, 0.3]), TOOL.quaternion)
    )
    prediction = bench.policy.infer([far])
    assert prediction.notes == ("x is 1.200; training saw 0.100 to 0.800",)


def test_the_number_of_the_task_reaches_the_condition(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny", tasks=("cup", "bowl"))
    chunks = [
        load_policy(folder, task, Clock()).infer([observation()]).chunk for task in ("cup", "bowl")
    ]
    # the second task's number, 1, is what its latent begins with
    np.testing.assert_allclose(chunks[1].positions - chunks[0].positions, 1.0, atol=1e-6)
