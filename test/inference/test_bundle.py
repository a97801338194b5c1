import numpy as np
import pytest
import yaml

from carp_ros.inference.bundle import load_bundle
from carp_ros.rig import load_rig
from carp_ros.share import share_folder

from ..tiny_bundle import manifest, write_manifest, write_tiny_bundle


@pytest.fixture
def folder(tmp_path):
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def rig():
    return load_rig(share_folder() / "config" / "ur5e_sim.yaml")


def test_a_bundle_says_what_it_is(folder):
    bundle = load_bundle(folder)
    assert bundle.name == "tiny"
    assert bundle.manifest.scales == (1, 2, 4)
    assert bundle.manifest.cameras["wrist_cam"].width_px == 32
    assert bundle.graph("scale_2") == folder / "scale_2.onnx"
    assert bundle.golden()["actions"].shape == (16, 10)


def test_its_hash_changes_with_any_of_its_files(folder):
    before = load_bundle(folder).sha256
    with (folder / "decoder.onnx").open("ab") as file:
        file.write(b"\0")
    write_manifest(folder, manifest(folder))
    assert load_bundle(folder).sha256 != before


def test_an_unknown_key_is_refused_by_name(folder):
    write_manifest(folder, manifest(folder) | {"gamma": 1})
    with pytest.raises(ValueError, match=r"policy\.yaml: unknown key 'gamma'"):
        load_bundle(folder)


@pytest.mark.parametrize("key", ["format", "scales", "golden", "made"])
def test_a_missing_key_is_refused_by_name(folder, key):
    content = manifest(folder)
    del content[key]
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=rf"policy\.yaml: key '{key}' is missing"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 1}, "format is 1; expected 2"),
        ({"kind": "par"}, "kind is 'par'; expected 'carp'"),
        ({"tasks": []}, "tasks is empty"),
        ({"horizon": 0}, "horizon is 0"),
        ({"step_s": -0.1}, "step_s is -0.1"),
        ({"step_s": "fast"}, "step_s is 'fast'; expected a float"),
        ({"scales": [1, 2]}, "graphs are .*; expected .* scale_0, scale_1, decoder: export anew"),
    ],
)
def test_what_this_version_can_not_run_is_refused_with_what_it_can(folder, changes, reason):
    write_manifest(folder, manifest(folder) | changes)
    with pytest.raises(ValueError, match=reason):
        load_bundle(folder)


def test_a_missing_graph_is_refused(folder):
    content = manifest(folder)
    del content["graphs"]["scale_1"]
    write_manifest(folder, content)
    with pytest.raises(
        ValueError, match=r"expected vision_wrist_cam, .*, scale_1, scale_2, decoder"
    ):
        load_bundle(folder)


def test_another_layout_is_refused(folder):
    content = manifest(folder)
    content["action"]["frame"] = "tool"
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=r"action is .*frame 'tool'; expected .*frame 'base'"):
        load_bundle(folder)


def test_a_range_that_is_none_is_refused(folder):
    content = manifest(folder)
    content["state"]["low"][2] = 7.0
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=r"state spans .* low not above high"):
        load_bundle(folder)


def test_a_changed_file_is_refused_with_both_hashes(folder):
    named = manifest(folder)["graphs"]["decoder"]["sha256"]
    with (folder / "decoder.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ValueError, match=rf"decoder\.onnx has SHA-256 \w+; .* names {named}"):
        load_bundle(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "condition.onnx").unlink()
    with pytest.raises(ValueError, match=r"condition\.onnx is missing; copy the whole bundle"):
        load_bundle(folder)


def test_a_file_outside_the_folder_is_refused(folder):
    content = manifest(folder)
    content["graphs"]["decoder"]["file"] = "../decoder.onnx"
    write_manifest(folder, content)
    with pytest.raises(ValueError, match="expected a name in its folder"):
        load_bundle(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(ValueError, match=r"no policy\.yaml in .*expected the folder of an export"):
        load_bundle(tmp_path)


def test_a_golden_case_that_lacks_an_image_is_refused(folder):
    with np.load(folder / "golden.npz") as archive:
        arrays = {name: archive[name] for name in archive.files if name != "image_third_cam"}
    np.savez(folder / "golden.npz", **arrays)
    write_manifest(folder, manifest(folder))
    with pytest.raises(ValueError, match=r"golden\.npz lacks \['image_third_cam'\]"):
        load_bundle(folder).golden()


def test_a_rig_is_the_one_it_was_trained_for_or_refused(folder, rig, tmp_path):
    load_bundle(folder).require_rig(rig)
    path = tmp_path / "kitchen.yaml"
    path.write_text((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    with pytest.raises(ValueError, match="rig is 'kitchen'; bundle tiny was trained for 'ur5e_sim"):
        load_bundle(folder).require_rig(load_rig(path))


def test_a_rig_without_one_of_its_cameras_is_refused(folder, tmp_path):
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    del content["cameras"]["wrist_cam"]
    path = tmp_path / "ur5e_sim.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"lacks the cameras \['wrist_cam'\]"):
        load_bundle(folder).require_rig(load_rig(path))
