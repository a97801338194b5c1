import time

import numpy as np
import onnx
import pytest

from carp_ros.errors import DeviceError
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.policies.load import load_policy

from ..tiny_bundle import actions_for, entry, manifest, write_manifest, write_tiny_bundle


def load(folder, task="cup", **options):
    return load_policy(folder, task, time.perf_counter_ns, **options)


def change_golden(folder, **arrays):
    """Replace arrays of the golden case, and the hash with it."""
    with np.load(folder / "golden.npz") as archive:
        content = dict(archive)
    np.savez(folder / "golden.npz", **{**content, **arrays})
    write_manifest(folder, manifest(folder))


def test_a_bundle_loads_when_it_computes_its_golden_case(tiny_bundle):
    assert tuple(load(tiny_bundle).spec.cameras) == ("wrist_cam", "third_cam")


@pytest.mark.parametrize(
    ("number", "by", "reason"),
    [
        (0, 0.002, r"0\.002 off in position \[m\]; expected 0\.001 at most"),
        (4, 0.1, r"off in rotation \[rad\]; expected 0\.005 at most"),
        (9, 0.03, r"0\.03 off in gripper; expected 0\.02 at most"),
    ],
)
def test_a_bundle_that_computes_something_else_is_refused_with_how_much(
    tmp_path, number, by, reason
):
    folder = write_tiny_bundle(tmp_path / "tiny")
    with np.load(folder / "golden.npz") as archive:
        actions = archive["actions"].copy()
    actions[7, number] += by
    change_golden(folder, actions=actions)
    with pytest.raises(ValueError, match=reason):
        load(folder)


def test_what_lies_within_the_tolerances_loads(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    with np.load(folder / "golden.npz") as archive:
        actions = archive["actions"].copy()
    actions[7, 0] += 0.0005
    change_golden(folder, actions=actions)
    load(folder)


def test_a_golden_case_that_the_encoder_can_not_take_is_refused(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    change_golden(folder, state=np.zeros((1, 7), np.float32))
    with pytest.raises(ValueError, match=r"can't compute its golden case.*\(1, 7\)"):
        load(folder)


def test_a_golden_case_without_numbers_is_refused(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    change_golden(folder, actions=actions_for(np.full(10, np.nan)))
    with pytest.raises(ValueError, match="expected finite numbers"):
        load(folder)


def test_a_graph_that_is_none_is_refused_by_name(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "scale_1.onnx").write_bytes(b"not a graph")
    write_manifest(folder, manifest(folder))
    with pytest.raises(ValueError, match=r"can't load .*scale_1\.onnx.*export again"):
        load(folder)


def test_an_unknown_task_is_answered_with_those_that_exist(tiny_bundle):
    with pytest.raises(ValueError, match="task is 'bowl'; bundle tiny was trained for cup"):
        load(tiny_bundle, "bowl")


def test_a_provider_that_this_machine_lacks_is_named():
    with pytest.raises(ValueError, match=r"lacks MagicExecutionProvider; it has .*CPUExec"):
        OnnxRuntime(("MagicExecutionProvider",))


def test_a_missing_runtime_is_named_with_the_remedy(tiny_bundle, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match="pip install onnxruntime"):
        load(tiny_bundle)


@pytest.mark.parametrize("camera", ["wrist_cam", "third_cam"])
def test_a_graph_that_takes_images_of_another_size_than_the_manifest_says_is_refused(
    tmp_path, camera
):
    folder = write_tiny_bundle(tmp_path / "tiny")
    sizes = manifest(folder)["cameras"] | {camera: {"width_px": 32, "height_px": 12}}
    write_manifest(folder, manifest(folder) | {"cameras": sizes})
    with pytest.raises(
        ValueError,
        match=rf"bundle tiny: .*vision_{camera} takes image_{camera} as uint8 of shape"
        r" \(1, 24, 32, 3\); the manifest says uint8 of shape \(1, 12, 32, 3\): export again",
    ):
        load(folder)


def test_a_graph_whose_shapes_are_not_fixed_is_refused(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    graph = onnx.load(folder / "decoder.onnx")
    graph.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(graph, folder / "decoder.onnx")
    with pytest.raises(ValueError, match=r"decoder\.onnx: state has shape \('batch', 10\)"):
        OnnxRuntime().session(folder / "decoder.onnx")


def test_a_golden_case_with_another_hash_is_refused(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    golden = entry(folder, "golden.npz")
    np.savez(folder / "golden.npz", state=np.zeros(10))
    with pytest.raises(ValueError, match=rf"golden\.npz has SHA-256 .*names {golden['sha256']}"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": np.array(["x"] * 10)},
        {"image_wrist_cam": np.zeros((1, 24, 32, 3), np.float64)},
        {"actions": np.array([["a"] * 10] * 16)},
    ],
    ids=["texts", "another type", "texts as actions"],
)
def test_a_golden_case_of_another_kind_is_refused_by_the_bundles_name(tmp_path, changes):
    folder = write_tiny_bundle(tmp_path / "tiny")
    change_golden(folder, **changes)
    with pytest.raises(ValueError, match="bundle tiny can't compute its golden case, export again"):
        load(folder)


def test_a_graph_that_lacks_an_output_is_refused_by_the_bundles_name(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "decoder.onnx").write_bytes((folder / "condition.onnx").read_bytes())
    write_manifest(folder, manifest(folder))
    with pytest.raises(ValueError, match="bundle tiny: its graphs don't fit, export again: "):
        load(folder)


def test_a_graph_of_a_petabyte_is_refused_before_memory_is_taken(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    graph = onnx.load(folder / "decoder.onnx")
    for size in graph.graph.input[0].type.tensor_type.shape.dim:
        size.dim_value = 1_000_000
    onnx.save(graph, folder / "decoder.onnx")
    write_manifest(folder, manifest(folder))
    with pytest.raises(ValueError, match="bundle tiny: its graphs don't fit"):
        load(folder)
