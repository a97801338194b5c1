"""TensorRT's runtime on a stand-in of the GPU (`stand_in_gpu`); it has never run on a real one."""

import gc
import time
from typing import get_args

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.cuda import Cuda
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import TensorSpec
from carp_ros.inference.tensorrt_build import Engine, EngineBuilder, Library
from carp_ros.inference.tensorrt_runtime import TensorRtRuntime
from carp_ros.policies.load import load_policy

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: carp_ros[rtx]")
from . import stand_in_gpu

FLOAT = np.dtype(np.float32)


@pytest.fixture
def built(monkeypatch):
    """Graphs whose engines were built: each engine is the path of its graph."""
    paths = []

    def build(self, graph):
        paths.append(graph)
        return Engine(self.key(graph), str(graph).encode(), 0.0, {})

    monkeypatch.setattr(EngineBuilder, "build", build)
    return paths


@pytest.fixture
def cuda(monkeypatch):
    return stand_in_gpu.install(monkeypatch)


@pytest.mark.parametrize("library", get_args(Library))
def test_a_policy_plans_on_the_gpu_what_it_plans_on_the_cpu(
    cuda, built, tiny_bundle, tmp_path, library
):
    runtime = TensorRtRuntime(library, engines=tmp_path)
    on_gpu = load_policy(tiny_bundle, "cup", time.monotonic_ns, runtime=runtime)
    on_cpu = load_policy(tiny_bundle, "cup", time.monotonic_ns, runtime=OnnxRuntime())
    bundle = load_bundle(tiny_bundle)
    golden = bundle.golden()
    rng = np.random.default_rng(0)
    for _ in range(3):
        inputs = {name: golden[name] for name in bundle.input_names}
        inputs["state"] = (inputs["state"] + rng.normal(0, 0.01, (1, 10))).astype(np.float32)
        found, expected = on_gpu.decode(inputs), on_cpu.decode(inputs)
        np.testing.assert_array_equal(found.actions, expected.actions)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        assert found.log_likelihood == expected.log_likelihood
    assert len(built) == len(bundle.manifest.graphs)
    # the decoder is bound to each scale's latent; TensorRT-RTX records by itself
    bound = len(built) + len(bundle.section["scales"]) - 1
    assert len(cuda.graphs) == (bound if library == "tensorrt" else 0)


def test_what_is_recorded_is_given_anew_by_one_call(cuda):
    gpu, done = Cuda(), []
    again = gpu.recorded(lambda: cuda.given.append(lambda: done.append("kernel")))
    assert done == ["kernel"]  # in earnest, before the recording
    again()
    again()
    gpu.wait()
    assert done == ["kernel"] * 3


def test_a_recording_that_fails_leaves_the_stream_to_others(cuda):
    gpu, calls = Cuda(), []

    def give():
        calls.append(1)
        if len(calls) == 2:
            raise DeviceError("decoder.onnx can't be run")

    with pytest.raises(DeviceError, match="can't be run"):
        gpu.recorded(give)
    assert cuda.before is None


def test_engines_of_the_two_libraries_are_told_apart(cuda, built, tiny_bundle, tmp_path):
    graph = load_bundle(tiny_bundle).graph("decoder")
    for library in get_args(Library):
        TensorRtRuntime(library, engines=tmp_path).session(graph)
    assert built == [graph, graph]
    assert len(list(tmp_path.glob("*-tensorrt-*.engine"))) == 1


def test_tensorrt_builds_for_a_gpu_that_tensorrt_rtx_does_not_know(
    monkeypatch, built, tiny_bundle, tmp_path
):
    stand_in_gpu.install(monkeypatch, capability=(9, 0))
    TensorRtRuntime("tensorrt", engines=tmp_path).session(tiny_bundle / "decoder.onnx")
    assert len(list(tmp_path.glob("decoder-*-sm90-half-tensorrt-*.engine"))) == 1


def test_a_missing_tensorrt_is_named_with_the_remedy(cuda, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    with pytest.raises(DeviceError, match=r"TensorRT, which .* pip install tensorrt"):
        TensorRtRuntime("tensorrt")


def test_a_chunk_takes_no_memory_of_the_gpu(cuda, built, tiny_bundle, tmp_path):
    bundle = load_bundle(tiny_bundle)
    policy = load_policy(
        tiny_bundle, "cup", time.monotonic_ns, runtime=TensorRtRuntime(engines=tmp_path)
    )
    golden, before = bundle.golden(), cuda.allocations
    for _ in range(3):
        policy.decode({name: golden[name] for name in bundle.input_names})
    assert cuda.allocations == before > 0


def test_an_engine_is_built_once(cuda, built, tiny_bundle, tmp_path):
    graph = load_bundle(tiny_bundle).graph("decoder")
    for _ in range(2):
        TensorRtRuntime(engines=tmp_path).session(graph)
    assert built == [graph]


def test_an_engine_that_another_gpu_left_is_not_used(monkeypatch, built, tiny_bundle, tmp_path):
    graph = load_bundle(tiny_bundle).graph("decoder")
    for capability in ((8, 6), (7, 5)):
        stand_in_gpu.install(monkeypatch, capability=capability)
        TensorRtRuntime(engines=tmp_path).session(graph)
    assert built == [graph, graph]
    sm86, sm75 = (next(tmp_path.glob(f"*-{kind}-*")) for kind in ("sm86", "sm75"))
    sm75.write_bytes(sm86.read_bytes())
    with pytest.raises(ValueError, match=r"built for capability 8\.6; expected 7\.5"):
        TensorRtRuntime(engines=tmp_path).session(graph)


def test_an_engine_that_tensorrt_does_not_load_is_named(cuda, monkeypatch, tiny_bundle, tmp_path):
    def build(self, graph):
        return Engine(self.key(graph), b"spoilt", 0.0, {})

    monkeypatch.setattr(EngineBuilder, "build", build)
    with pytest.raises(ValueError, match=r"decoder-.*\.engine can't be loaded: .*; delete it"):
        TensorRtRuntime(engines=tmp_path).session(load_bundle(tiny_bundle).graph("decoder"))


def test_a_run_that_fails_is_a_device_error(cuda, built, tiny_bundle, tmp_path, monkeypatch):
    runtime = TensorRtRuntime(engines=tmp_path)
    session = runtime.session(load_bundle(tiny_bundle).graph("decoder"))
    monkeypatch.setattr(stand_in_gpu.StandInContext, "execute_async_v3", lambda *_: False)
    tensors = session.inputs | session.outputs
    run = session.bind({name: runtime.buffer(spec) for name, spec in tensors.items()})
    with pytest.raises(DeviceError, match=r"decoder\.onnx can't be run"):
        run()


def test_a_run_is_over_when_it_returns(cuda, built, tiny_bundle, tmp_path):
    runtime = TensorRtRuntime(engines=tmp_path)
    session = runtime.session(load_bundle(tiny_bundle).graph("decoder"))
    tensors = session.inputs | session.outputs
    session.bind({name: runtime.buffer(spec) for name, spec in tensors.items()})()
    assert cuda.given == []


def test_memory_is_zeros_at_first_and_given_back(cuda):
    gpu = Cuda()
    buffer = gpu.buffer(TensorSpec((2, 3), FLOAT))
    assert (buffer.read() == np.zeros((2, 3), np.float32)).all()
    buffer.write(np.full((2, 3), 5.0, np.float32))
    assert (buffer.read() == 5.0).all()
    del buffer
    gc.collect()
    assert cuda.held == {"gpu": {}, "pinned": {}}


def test_a_machine_without_a_gpu_is_told_so(monkeypatch):
    stand_in_gpu.install(monkeypatch, gpus=0)
    with pytest.raises(DeviceError, match=r"no NVIDIA GPU \(cudaErrorNoDevice\).*nvidia-smi"):
        TensorRtRuntime()


def test_missing_bindings_are_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings.runtime", None)
    with pytest.raises(DeviceError, match=r"pip install 'carp_ros\[rtx\]'"):
        TensorRtRuntime()


def test_a_gpu_that_tensorrt_rtx_does_not_build_for_is_refused(monkeypatch):
    stand_in_gpu.install(monkeypatch, capability=(9, 0))
    with pytest.raises(ValueError, match=r"capability is '9\.0'"):
        TensorRtRuntime()
