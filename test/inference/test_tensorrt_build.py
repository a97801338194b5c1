"""Engines of TensorRT-RTX, built without a GPU; that they compute the right thing takes one."""

from pathlib import Path

import pytest

from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.engine_file import read_engine, write_engine
from carp_ros.inference.tensorrt_build import EngineBuilder

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: carp_ros[rtx]")

MODELS = Path(__file__).parents[2] / "models"
CAPABILITIES = ("7.5", "8.6", "8.9")
BUNDLES = sorted(path.parent.name for path in MODELS.glob("*/policy.yaml"))


@pytest.mark.parametrize(
    ("name", "capability"),
    [*((name, CAPABILITIES[0]) for name in BUNDLES), *((BUNDLES[0], c) for c in CAPABILITIES[1:])],
)
def test_every_graph_of_the_shipped_bundles_is_built(name, capability, tmp_path):
    builder, bundle = EngineBuilder(capability), load_bundle(MODELS / name)
    for graph in bundle.manifest.graphs:
        engine = builder.build(bundle.graph(graph))
        path = write_engine(tmp_path, engine.key, engine.content)
        assert read_engine(path, builder.key(bundle.graph(graph))) == engine.content
        assert len(engine.content) > 1e5


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(MODELS / "carp_both_sim")


@pytest.fixture(scope="module")
def scale(bundle):
    return bundle.graph("scale_1")


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_what_is_sensitive_stays_in_single_precision(scale, capability):
    layers = EngineBuilder(capability).build(scale).layers
    for kind in ("normalization", "softmax", "topk", "reduce", "unary"):
        assert set(layers[kind]) == {"float"}, kind


def test_attention_and_logits_are_products_in_single_precision_but_for_turing(bundle):
    scale, blocks = bundle.graph("scale_0"), 4
    turing = EngineBuilder("7.5").build(scale).layers["matrix_multiply"]
    ampere = EngineBuilder("8.6").build(scale).layers["matrix_multiply"]
    assert set(turing) == {"half"}
    assert ampere["float"] == 2 * blocks + 1
    assert ampere["half"] == turing["half"] - ampere["float"]


def test_single_precision_is_single_throughout(scale):
    layers = EngineBuilder("8.6", "single").build(scale).layers
    assert set(layers["matrix_multiply"]) == {"float"}


def test_the_ends_of_the_policy_have_their_convolutions_in_half(bundle):
    builder = EngineBuilder("7.5")
    assert set(builder.build(bundle.graph("vision_wrist_cam")).layers["convolution"]) == {"half"}
    decoder = builder.build(bundle.graph("decoder")).layers
    assert set(decoder["convolution"]) == set(decoder["deconvolution"]) == {"half"}


def test_an_engine_for_another_gpu_is_refused(scale, tmp_path):
    engine = EngineBuilder("8.9").build(scale)
    path = write_engine(tmp_path, engine.key, engine.content)
    with pytest.raises(ValueError, match=r"built for capability 8\.9; expected 8\.6"):
        read_engine(path, EngineBuilder("8.6").key(scale))


@pytest.mark.parametrize("name", ["scale_1.onnx", "weights.bin"])
def test_an_engine_of_another_graph_or_of_other_weights_is_refused(scale, name, tmp_path):
    builder = EngineBuilder("8.6")
    engine = builder.build(scale)
    path = write_engine(tmp_path, engine.key, engine.content)
    for file in ("scale_1.onnx", "weights.bin"):
        (tmp_path / file).write_bytes(scale.with_name(file).read_bytes())
    copy = tmp_path / scale.name
    assert read_engine(path, builder.key(copy)) == engine.content
    changed = tmp_path / name
    changed.write_bytes(changed.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValueError, match="built for sha256"):
        read_engine(path, builder.key(copy))


@pytest.mark.parametrize("capability", ["9.0", "86", ""])
def test_a_gpu_that_it_does_not_build_for_is_refused_with_those_that_it_does(capability):
    with pytest.raises(ValueError, match=r"builds for 7\.5, .*8\.6, 8\.9"):
        EngineBuilder(capability)


def test_what_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "scale_0.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"can't read .*scale_0\.onnx"):
        EngineBuilder("8.6").build(path)
