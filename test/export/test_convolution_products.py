"""A convolution written as a product computes the same, whatever its shape."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from carp_ros.export.convolution_products import convolutions_to_products

RNG = np.random.default_rng(0)


def graph(channels, kernel, size, **settings) -> onnx.ModelProto:
    weights = RNG.normal(size=(channels[1], channels[0] // settings.get("group", 1), *kernel))
    constants = [numpy_helper.from_array(weights.astype(np.float32), "kernel")]
    if settings.pop("bias", False):
        constants.append(numpy_helper.from_array(np.ones(channels[1], np.float32), "bias"))
    names = ["image", *(constant.name for constant in constants)]
    made = helper.make_graph(
        [helper.make_node("Conv", names, ["found"], name="conv", **settings)],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels[0], *size])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"image": image})[0]


sides = st.integers(1, 3)
few = st.integers(0, 2)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(sides, sides),
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.tuples(sides, sides),
    st.tuples(few, few, few, few),
)
def test_it_computes_the_same(channels, kernel, size, strides, pads):
    model = graph(channels, kernel, size, strides=strides, pads=pads)
    image = RNG.normal(size=(1, channels[0], *size)).astype(np.float32)
    expected = run(model, image)
    assert convolutions_to_products(model, 1) == ["conv_product"]
    onnx.checker.check_model(model, full_check=True)
    assert "Conv" not in [node.op_type for node in model.graph.node]
    np.testing.assert_allclose(run(model, image), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "least"),
    [({}, 19), ({"group": 2}, 1), ({"dilations": [2, 2]}, 1), ({"bias": True}, 1)],
)
def test_others_stay_what_they_are(settings, least):
    model = graph((2, 2), (3, 3), (6, 6), **settings)
    before = model.SerializeToString()
    assert convolutions_to_products(model, least) == []
    assert model.SerializeToString() == before
