"""Graphs in torch on the CPU; recording them as CUDA graphs has never run on a GPU."""

import gc
import time
import weakref
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from carp_ros.errors import DeviceError
from carp_ros.export import torch_runtime
from carp_ros.export.torch_runtime import TorchRuntime
from carp_ros.export.untrained import write_untrained
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.policies.load import load_policy


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "untrained"
    write_untrained(folder, "cpu-small", ("wrist_cam", "third_cam"))
    return folder


class StandInCuda:
    """In place of `torch.cuda`: says in what order it was called; replaying only says so, too."""

    def __init__(self):
        self.said = []

    def Stream(self):
        return SimpleNamespace(wait_stream=lambda other: self.said.append("aside waits"))

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda other: self.said.append("waits for aside"))

    def stream(self, aside):
        return nullcontext()

    def CUDAGraph(self):
        return SimpleNamespace(replay=lambda: self.said.append("replay"))

    @contextmanager
    def graph(self, recording):
        self.said.append("begin")
        yield
        self.said.append("end")

    def synchronize(self):
        self.said.append("done")


def test_a_computation_is_recorded_once_after_it_is_warm_and_each_replay_is_waited_for(monkeypatch):
    cuda = StandInCuda()
    monkeypatch.setattr(torch_runtime.torch, "cuda", cuda)
    replay = torch_runtime._recorded(lambda: cuda.said.append("compute"))
    warm = ["aside waits", "compute", "compute", "compute", "waits for aside"]
    assert cuda.said == [*warm, "begin", "compute", "end"]
    cuda.said.clear()
    replay()
    replay()
    assert cuda.said == ["replay", "done"] * 2


def test_a_bound_run_keeps_what_a_recording_points_to(untrained, monkeypatch):
    monkeypatch.setattr(torch_runtime, "_recorded", lambda compute: lambda: None)
    runtime = TorchRuntime("cpu")
    session = runtime.session(load_bundle(untrained).graph("decoder"))
    monkeypatch.setattr(session, "_device", torch.device("cuda"))
    tensors = session.inputs | session.outputs
    buffers = {name: runtime.buffer(spec) for name, spec in tensors.items()}
    watched = [weakref.ref(buffer.tensor) for buffer in buffers.values()]
    run = session.bind(buffers)
    del buffers
    gc.collect()
    assert all(watch() is not None for watch in watched)
    del run
    gc.collect()
    assert all(watch() is None for watch in watched)


def test_torch_plans_what_onnx_runtime_plans(untrained):
    on_torch = load_policy(untrained, "cup", time.monotonic_ns, runtime=TorchRuntime("cpu"))
    on_onnx = load_policy(untrained, "cup", time.monotonic_ns, runtime=OnnxRuntime())
    bundle = load_bundle(untrained)
    golden = bundle.golden()
    rng = np.random.default_rng(0)
    for _ in range(3):
        inputs = {name: golden[name] for name in bundle.input_names}
        inputs["state"] = (inputs["state"] + rng.normal(0, 0.01, (1, 10))).astype(np.float32)
        found, expected = on_torch.decode(inputs), on_onnx.decode(inputs)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_allclose(found.actions, expected.actions, atol=1e-4)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-3)


def test_a_session_takes_and_gives_what_the_graph_does(untrained):
    path = load_bundle(untrained).graph("scale_1")
    in_torch, in_onnx = TorchRuntime("cpu").session(path), OnnxRuntime().session(path)
    assert in_torch.inputs == in_onnx.inputs
    assert in_torch.outputs == in_onnx.outputs


def test_a_graph_that_the_policy_has_not_is_named(untrained):
    with pytest.raises(ValueError, match="has no graph scale_9; it has vision_wrist_cam, "):
        TorchRuntime("cpu").session(untrained / "scale_9.onnx")


def test_a_bundle_without_its_network_is_refused(tiny_bundle):
    with pytest.raises(ValueError, match=r"lacks the network.*choose another runtime"):
        TorchRuntime("cpu").session(tiny_bundle / "decoder.onnx")


def test_a_torch_without_a_gpu_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"torch .* finds no GPU.*nvidia-smi"):
        TorchRuntime()


def test_a_run_that_fails_is_a_device_error(untrained, monkeypatch):
    runtime = TorchRuntime("cpu")
    session = runtime.session(load_bundle(untrained).graph("decoder"))
    tensors = session.inputs | session.outputs
    buffers = {name: runtime.buffer(spec) for name, spec in tensors.items()}
    run = session.bind(buffers)
    buffers["actions"].tensor.resize_(0)
    with pytest.raises(DeviceError, match="decoder can't be run"):
        run()
