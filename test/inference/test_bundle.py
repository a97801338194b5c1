import os
import re
import zipfile

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.command import MAX_STEPS
from carp_ros.inference.bundle import Manifest, load_bundle
from carp_ros.inference.policy_spec import MOST_STEPS
from carp_ros.rig import load_rig
from carp_ros.share import share_folder

from ..neighbours import changed, fields_of, unruled
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
    assert bundle.section == {"scales": [1, 2, 4]}
    assert bundle.manifest.cameras["wrist_cam"].width_px == 32
    assert bundle.graph("scale_2") == folder / "scale_2.onnx"
    assert bundle.golden()["actions"].shape == (16, 10)


def test_a_manifest_of_format_2_is_read_as_one_of_today(folder):
    now = load_bundle(folder)
    content = manifest(folder)
    content |= {"format": 2, **content.pop("carp")}
    del content["observation"]
    for name in ("state", "action"):
        content[name] = {k: v for k, v in content[name].items() if k != "kind"} | {"frame": "base"}
    write_manifest(folder, content)
    then = load_bundle(folder)
    assert then.section == now.section
    assert (then.manifest.state, then.manifest.action) == (now.manifest.state, now.manifest.action)
    assert then.manifest.observation.reference is None  # the rig's first camera, as it was


def test_the_earlier_name_of_the_execution_horizon_is_read(folder):
    content = manifest(folder)
    write_manifest(folder, content | {"execution_horizon": 3})
    assert load_bundle(folder).spec.execution_horizon == 3
    del content["execution_horizon"]
    write_manifest(folder, content | {"followed": 3})
    assert load_bundle(folder).spec.execution_horizon == 3


def test_a_manifest_with_both_names_of_the_execution_horizon_is_refused(folder):
    write_manifest(folder, manifest(folder) | {"followed": 3})
    with pytest.raises(ValueError, match=r"policy\.yaml: unknown key 'followed'"):
        load_bundle(folder)


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


@pytest.mark.parametrize("key", ["format", "observation", "golden", "made"])
def test_a_missing_key_is_refused_by_name(folder, key):
    content = manifest(folder)
    del content[key]
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=rf"policy\.yaml: key '{key}' is missing"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 4}, "format is 4; expected 3: export again"),
        ({"tasks": []}, r"tasks is \[\]; expected 1 to 1000 of them, not 0"),
        ({"horizon": 0}, "horizon is 0"),
        ({"step_s": -0.1}, "step_s is -0.1"),
        ({"step_s": "fast"}, "step_s is 'fast'; expected a float"),
    ],
)
def test_what_this_version_can_not_run_is_refused_with_what_it_can(folder, changes, reason):
    write_manifest(folder, manifest(folder) | changes)
    with pytest.raises(ValueError, match=reason):
        load_bundle(folder)


def test_another_layout_is_refused(folder):
    content = manifest(folder)
    content["action"]["units"][0] = "mm"
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=r"a tool's layout is .*'mm'.*; expected .*'m'"):
        load_bundle(folder)


def test_a_range_that_is_none_is_refused(folder):
    content = manifest(folder)
    content["state"]["low"][2] = 7.0
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=r"state: z spans 7 to .*; expected low not above high"):
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


def other_rig(folder, name, **changes):
    """Return the simulated rig under another name, with some keys changed."""
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content | changes, sort_keys=False))
    return load_rig(path)


def test_a_rig_like_that_of_the_training_is_taken_under_any_name(folder, rig, tmp_path):
    load_bundle(folder).require_rig(rig)
    load_bundle(folder).require_rig(other_rig(tmp_path, "kitchen"))


def test_a_policy_that_sees_nothing_is_for_no_arm(folder, rig):
    content = manifest(folder) | {"cameras": {}, "observation": {}}
    for camera in rig.cameras:
        del content["graphs"][f"vision_{camera}"]
    write_manifest(folder, content)
    with pytest.raises(ValueError, match="uses no camera; expected at least one"):
        load_bundle(folder).require_rig(rig)


CAMERA = {"driver": "cell", "width_px": 320, "height_px": 240}


@pytest.mark.parametrize("name", ["kitchen", "ur5e_sim"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tool": {"position_m": [0, 0, 0.1578]}}, "the tool is 2.0 mm and 0.000 rad off"),
        (
            {"tool": {"position_m": [0, 0, 0.1558], "quaternion": [0.0, 0.0, 0.02, 0.9998]}},
            "the tool is 0.0 mm and 0.040 rad off that of ur5e_sim; expected tool.position_m",
        ),
        (
            {"cameras": {"wrist_cam": CAMERA | {"height_px": 180}, "third_cam": CAMERA}},
            "cameras.wrist_cam has images of 320x180 px; expected the shape of 320x240",
        ),
    ],
)
def test_a_rig_that_is_otherwise_is_refused_whatever_its_name(
    folder, tmp_path, name, changes, reason
):
    with pytest.raises(ValueError, match=f"bundle tiny was trained for, ur5e_sim: {reason}"):
        load_bundle(folder).require_rig(other_rig(tmp_path, name, **changes))


def test_where_a_bundle_names_no_reference_the_first_camera_must_be_that_of_the_training(
    folder, tmp_path
):
    content = manifest(folder) | {"observation": {}}
    rig = other_rig(tmp_path, "kitchen", cameras={"third_cam": CAMERA, "wrist_cam": CAMERA})
    load_bundle(folder).require_rig(rig)  # it names wrist_cam
    write_manifest(folder, content)
    with pytest.raises(ValueError, match="the first camera is third_cam; expected wrist_cam"):
        load_bundle(folder).require_rig(rig)


def test_cameras_too_slow_for_the_skew_of_the_dataset_are_refused(folder, tmp_path):
    slow = {**CAMERA, "rate_hz": 8.0}
    rig = other_rig(tmp_path, "kitchen", cameras={"wrist_cam": slow, "third_cam": slow})
    with pytest.raises(ValueError, match=r"wrist_cam .* 8 images per second, up to 0\.062 s from"):
        load_bundle(folder).require_rig(rig)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "free", "names": list("abcdefghij"), "units": ["?"] * 10}, "moves no arm"),
        (
            {"kind": "joints", "names": [*"abcdefghi", "gripper"], "units": ["rad"] * 9 + ["1"]},
            r"has the action \['a', .*; rig ur5e_sim has \['shoulder_pan_joint",
        ),
    ],
)
def test_numbers_that_do_not_move_this_arm_are_refused(folder, rig, changes, reason):
    content = manifest(folder)
    content["action"] |= changes
    write_manifest(folder, content)
    with pytest.raises(ValueError, match=reason):
        load_bundle(folder).require_rig(rig)


def test_of_a_rig_that_nothing_is_known_of_the_name_must_be_the_same(folder, tmp_path):
    write_manifest(folder, manifest(folder) | {"rig": "lab"})
    load_bundle(folder).require_rig(other_rig(tmp_path, "lab"))
    with pytest.raises(ValueError, match=r"rig is 'kitchen'; expected 'lab', as no .*lab\.yaml"):
        load_bundle(folder).require_rig(other_rig(tmp_path, "kitchen"))


def test_a_rig_without_one_of_its_cameras_is_refused(folder, tmp_path):
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    del content["cameras"]["wrist_cam"]
    path = tmp_path / "ur5e_sim.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"lacks the cameras \['wrist_cam'\]"):
        load_bundle(folder).require_rig(load_rig(path))


def test_a_chunk_is_no_longer_than_the_servo_takes():
    assert MOST_STEPS == MAX_STEPS


def test_every_number_and_every_text_of_a_manifest_has_a_rule():
    assert [path for path in unruled(Manifest) if path != "made.any"] == []


FIELDS = [field for field in fields_of(Manifest) if "network" not in field.path]


def refusal_of(folder, content):
    """Return how a bundle is refused, empty if it is not; any error but a ValueError is raised."""
    write_manifest(folder, content)
    try:
        load_bundle(folder)
    except ValueError as error:
        return str(error)
    return ""


def of_the_first(content, path):
    """Return a path whose `any` is the first of that mapping."""
    found = []
    for key in path:
        key = next(iter(content)) if key == "any" else key
        content = content.get(key) if isinstance(content, dict) else None
        found.append(key)
    return tuple(found)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.words)
def test_a_value_beyond_its_range_is_refused_in_one_line_by_file_key_and_range(folder, field):
    content = manifest(folder)
    path = of_the_first(content, field.path)
    for value in field.outside:
        refusal = refusal_of(folder, changed(content, path, value))
        assert re.match(rf".*policy\.yaml: .*{path[-1]}.*expected", refusal), (value, refusal)
        assert "\n" not in refusal
        assert len(refusal) < 900


@st.composite
def manifests(draw):
    """Draw changes of a manifest that leave it right."""
    horizon = draw(st.integers(2, MOST_STEPS))
    sizes = st.fixed_dictionaries(
        {"width_px": st.integers(1, 4096), "height_px": st.integers(1, 4096)}
    )
    low = draw(
        st.tuples(*(st.floats(-most, 0.0) for most in (3.0, 3.0, 3.0, *[1.01] * 7))).map(list)
    )
    high = draw(
        st.tuples(*(st.floats(0.0, most) for most in (3.0, 3.0, 3.0, *[1.01] * 7))).map(list)
    )
    return {
        "horizon": horizon,
        "execution_horizon": draw(st.integers(1, horizon - 1)),
        "step_s": draw(st.floats(0.01, 1.0)),
        "cameras": {"wrist_cam": draw(sizes), "third_cam": draw(sizes)},
        "tasks": draw(st.lists(st.from_regex("[a-zA-Z][a-zA-Z ]{0,19}", fullmatch=True), min_size=1,
                               max_size=4, unique=True)),
        "low": low,
        "high": high,
    }  # fmt: skip


@given(changes=manifests(), index=st.integers(0, len(FIELDS) - 1), data=st.data())
def test_a_right_manifest_loads_as_it_stands_and_none_of_its_wrong_neighbours_does(
    tmp_path_factory, changes, index, data
):
    folder = tmp_path_factory.getbasetemp() / "drawn"
    if not folder.exists():
        write_tiny_bundle(folder)
    content = manifest(folder)
    bounds = {key: changes.pop(key) for key in ("low", "high")}
    content |= changes | {"state": content["state"] | bounds}
    assert refusal_of(folder, content) == ""
    assert load_bundle(folder).manifest.step_s == changes["step_s"]

    path = of_the_first(content, FIELDS[index].path)
    value = data.draw(st.sampled_from(FIELDS[index].outside))
    assert "policy.yaml: " in refusal_of(folder, changed(content, path, value))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("execution_horizon",), 16, "execution_horizon is 16; expected 1 to 15"),
        (("tasks",), ["cup", "cup"], "expected each once"),
        (("tasks",), ["a\nb"], "expected one line of"),
        (("tasks",), ["  "], "expected one line of 1 to 200 characters, not spaces alone"),
        (("tasks",), ["cup", "\u202ecup"], "expected one line of"),
        (("tasks",), ["a\u2028b"], "expected one line of"),
        (("rig",), "../ur5e", "rig is '../ur5e'; expected a file name"),
        (("golden", "sha256"), "0" * 63, "expected the 64 hexadecimal digits"),
        (("weights", "file"), "/etc/passwd", "expected a name in its folder"),
        (("weights", "file"), "..", "expected a name in its folder"),
        (("cameras",), {"wrist cam": {"width_px": 8, "height_px": 8}}, "expected a name of lower"),
        (("action", "low"), [float("nan")] * 10, "expected a finite number"),
        (("action", "low"), [-4.0] * 10, "action: x spans -4 to 0.8; expected -3 to 3 m"),
        (("state", "high"), [1.0] * 5, "low and high have 10 and 5 numbers; expected 10 each"),
    ],
)
def test_a_name_or_a_pair_that_may_not_be_is_refused(folder, path, value, reason):
    assert reason in refusal_of(folder, changed(manifest(folder), path, value))


def replace_golden(folder, write):
    """Put another file in the golden case's place, and its hash into the manifest."""
    (folder / "golden.npz").unlink()
    write(folder / "golden.npz")
    write_manifest(folder, manifest(folder))
    return load_bundle(folder)


def claims_to_be_large(path):
    """Write an archive of few bytes whose arrays say that they are of a petabyte."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000,), }"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("state", "actions", "image_wrist_cam", "image_third_cam"):
            length = len(header).to_bytes(2, "little")
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + length + header)


def unpacks_to_much(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("state.npy", bytes(300_000_000))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"no archive"),
        lambda path: path.write_bytes(b""),
        lambda path: np.save(path.open("wb"), np.zeros(3)),
        lambda path: np.savez(path, state=np.array([{}], dtype=object)),
        claims_to_be_large,
        unpacks_to_much,
    ],
    ids=["text", "empty", "npy", "objects", "large by its header", "large when unpacked"],
)
def test_a_golden_case_that_is_no_archive_is_refused_by_name(folder, write):
    bundle = replace_golden(folder, write)
    with pytest.raises(
        ValueError, match=r"^\S+golden\.npz is no NPZ archive, export again: "
    ) as info:
        bundle.golden()
    assert "\n" not in str(info.value)


def test_a_pipe_in_the_place_of_the_manifest_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "policy.yaml")
    with pytest.raises(ValueError, match=r"policy\.yaml"):
        load_bundle(tmp_path)
