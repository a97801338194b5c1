import gc
import weakref
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from carp_ros.errors import DeviceError
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import TensorSpec, write_inputs


@pytest.fixture
def decoder(tiny_bundle):
    return OnnxRuntime().session(tiny_bundle / "decoder.onnx")


def buffers_of(session):
    return {
        name: OnnxRuntime().buffer(spec)
        for name, spec in (session.inputs | session.outputs).items()
    }


def test_a_session_says_what_it_takes_and_gives(decoder):
    float32 = np.dtype(np.float32)
    assert decoder.inputs["state"] == TensorSpec((1, 10), float32)
    assert decoder.outputs == {"actions": TensorSpec((1, 16, 10), float32)}


def test_a_run_reads_what_was_written_and_writes_where_it_is_read(decoder):
    buffers = buffers_of(decoder)
    run = decoder.bind(buffers)
    for pose in (0.25, 0.5):
        buffers["latent"].write(np.full(buffers["latent"].spec.shape, pose, np.float32))
        run()
        np.testing.assert_allclose(buffers["actions"].read()[0, 0], pose)


def test_a_bound_run_keeps_its_buffers(decoder):
    buffers = buffers_of(decoder)
    watched = [weakref.ref(buffer) for buffer in buffers.values()]
    run = decoder.bind(buffers)
    del buffers
    gc.collect()
    assert all(watch() is not None for watch in watched)
    run()
    del run
    gc.collect()
    assert all(watch() is None for watch in watched)


def test_a_provider_that_is_there_but_does_not_start_is_refused(tiny_bundle, monkeypatch):
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda, cpu])
    fallen_back = SimpleNamespace(get_providers=lambda: [cpu])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: fallen_back)
    with pytest.raises(DeviceError, match=f"has {cuda}, but it does not start"):
        OnnxRuntime((cuda, cpu)).session(tiny_bundle / "decoder.onnx")


def test_nothing_is_written_if_one_input_does_not_fit(decoder):
    buffers = {name: OnnxRuntime().buffer(spec) for name, spec in decoder.inputs.items()}
    arrays = {name: np.ones(buffer.spec.shape, np.float32) for name, buffer in buffers.items()}
    with pytest.raises(DeviceError, match=r"state is float32 of shape \(1, 9\); expected float32"):
        write_inputs(buffers, arrays | {"state": np.ones((1, 9), np.float32)})
    assert not any(buffer.read().any() for buffer in buffers.values())
