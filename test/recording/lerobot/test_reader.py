"""Datasets of other programs: what is read of them, and what is refused and costs nothing else."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.inference.layout import TOOL_NAMES
from carp_ros.recording.demonstrations import UnreadableEpisodeError
from carp_ros.recording.lerobot.features import FeatureChoice
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.robots import UR5E

from ...foreign_dataset import (
    JOINTS,
    Written,
    image_of,
    state_of,
    write_foreign_dataset,
)

V2, V3 = Written("v2.1"), Written("v3.0")
DATA = "data/chunk-000/file-000.parquet"
TOP = "observation.images.top"


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("images", ["h264", "av1", "png"])
def test_every_number_and_image_is_that_of_its_frame(tmp_path, version, images):
    written = replace(V2, version=version, images=images)
    data = open_demonstrations(write_foreign_dataset(tmp_path / "set", written))
    numbers = data.numbers
    assert data.cameras == ("top", "wrist_2")
    assert (data.step_s, data.rig) == (1 / 20, "so101")
    assert numbers.task_names == written.instructions
    for episode, length in enumerate(written.lengths):
        of_it = numbers.episodes == episode
        expected = state_of(written, episode)
        assert (numbers.states[of_it] == expected[:-1]).all()
        assert (numbers.actions[of_it] == expected[1:]).all()
        assert set(numbers.tasks[of_it]) == {episode % 2}
        for camera, size in zip(data.cameras, written.sizes.values()):
            shown = list(data.images(camera, episode))
            assert len(shown) == length
            for frame, image in enumerate(shown):
                wanted = image_of(episode, frame, size).astype(float)
                assert np.abs(image - wanted).mean() < (0.01 if images == "png" else 4.0)


@pytest.mark.parametrize(
    ("robot", "rig"),
    [
        ("so100 follower", "so100 follower"),
        ("../../etc/x", "etc_x"),
        ("\u2603", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_robot_of_a_dataset_becomes_the_name_of_a_rig(tmp_path, robot, rig):
    root = write_foreign_dataset(tmp_path / "set", replace(V3, images=None))
    path = root / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "robot_type": robot}))
    assert open_demonstrations(root).rig == rig


def test_what_is_not_needed_is_named_and_left_out(tmp_path):
    data = open_demonstrations(write_foreign_dataset(tmp_path / "set"))
    assert data.refused == ("note: dtype is 'string'; expected numbers or images",)


@pytest.mark.parametrize(
    ("names", "kind", "expected"),
    [
        (JOINTS, "free", JOINTS),
        ({"motors": list(JOINTS)}, "free", JOINTS),
        (None, "free", tuple(f"observation.state_{i}" for i in range(6))),
        (("a",) * 6, "free", tuple(f"observation.state_{i}" for i in range(6))),
        (("a\nb", *JOINTS[1:]), "free", tuple(f"observation.state_{i}" for i in range(6))),
        ((*UR5E.joint_names, "gripper"), "joints", (*UR5E.joint_names, "gripper")),
        (
            tuple(f"{name}.pos" for name in (*UR5E.joint_names, "gripper")),
            "joints",
            (*UR5E.joint_names, "gripper"),
        ),
    ],
)
def test_features_become_layouts(tmp_path, names, kind, expected):
    written = replace(V3, names=names, images=None, lengths=(4, 4))
    root = write_foreign_dataset(tmp_path / "set", written)
    if kind == "joints":
        change_table(root, lambda column: np.abs(column))
    data = open_demonstrations(root)
    assert (data.state.kind, data.state.names) == (kind, expected)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            (*UR5E.joint_names, "gripper"),
            "the state as joints: joints reach 114.6; expected radians",
        ),
        (TOOL_NAMES, "the state as tool: positions or rotations are invalid"),
    ],
)
def test_numbers_that_are_not_what_their_names_say_move_no_arm(tmp_path, names, reason):
    written = replace(V3, names=names, images=None, lengths=(40, 40))
    root = write_foreign_dataset(tmp_path / "set", written)
    change_table(root, lambda column: 286.5 * np.abs(column))
    data = open_demonstrations(root)
    assert data.state.kind == data.action.kind == "free"
    assert any(reason in line and "moves no arm" in line for line in data.refused), data.refused


def test_rows_may_be_lists_and_state_and_camera_chosen(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(V3, lists=True))
    data = open_demonstrations(
        root, FeatureChoice(("observation.state", "action"), "action", (TOP,)), "r"
    )
    assert data.numbers.states.shape == (36, 12)
    assert len(set(data.state.names)) == 12
    assert (data.cameras, data.rig) == (("top",), "r")


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (
            FeatureChoice(("observation.qpos",)),
            r"no feature observation.qpos of numbers; .* --state",
        ),
        (
            FeatureChoice((), "cmd"),
            r"no feature cmd of numbers; expected one of observation.state, action",
        ),
        (FeatureChoice((), "action", ("front",)), r"--cameras has front; expected .*images.top"),
        (FeatureChoice(("note",)), r"no feature note of numbers \(note: dtype is 'string'"),
    ],
)
def test_a_choice_that_is_not_there_is_refused_with_what_is(tmp_path, choice, reason):
    root = write_foreign_dataset(tmp_path / "set")
    with pytest.raises(ValueError, match=reason):
        open_demonstrations(root, choice)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda root: change_cell(root, "action", 25, [np.nan] * 6),
            r"action\[0\] of frame 1 is nan",
        ),
        (lambda root: change_cell(root, "timestamp", 27, 9.0), "timestamp of frame 3 is 9.0 s"),
        (lambda root: change_cell(root, "frame_index", 27, 9), r"frame_index is \[0, 1, 2, 9\]"),
        (
            lambda root: change_cell(root, "task_index", 27, 7),
            "task_index is 7; expected one of 0, 1",
        ),
        (
            lambda root: change_cell(root, "episode_index", 27, 9),
            "has 11 frames of it; expected 12",
        ),
        (lambda root: change_row(root, 3, "length", 13), "has 12 frames of it; expected 13"),
        (lambda root: change_row(root, 3, "length", -1), "length is -1; expected a whole number"),
        (
            lambda root: change_row(root, 3, f"videos/{TOP}/from_timestamp", 1.4),
            "has 8 of 12 images from 1.400 s on; was it cut off",
        ),
        (
            lambda root: change_row(root, 3, f"videos/{TOP}/file_index", 4),
            "file-004.mp4: is no file; expected a video",
        ),
    ],
)
def test_one_bad_episode_costs_itself_alone(tmp_path, spoil, reason):
    root = write_foreign_dataset(tmp_path / "set")
    spoil(root)
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 1, 2}
    (line,) = (line for line in data.refused if line.startswith("episode"))
    assert line.startswith("episode 3: ")
    assert re.search(reason, line), line


def test_a_missing_file_of_v2_costs_its_episode(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V2)
    (root / "data/chunk-000/episode_000001.parquet").unlink()
    (root / f"videos/chunk-000/{TOP}/episode_000002.mp4").unlink()
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 3}
    assert [line.split(":")[0] for line in data.refused if line.startswith("ep")] == [
        "episode 1",
        "episode 2",
    ]


def test_an_image_that_can_not_be_decoded_names_its_episode(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(V3, images="png"))
    cells = pq.read_table(root / DATA).column(TOP).to_pylist()
    change_cell(root, TOP, 13, {**cells[13], "bytes": b"no image"})
    data = open_demonstrations(root)
    assert len(list(data.images("top", 0))) == 12
    with pytest.raises(
        UnreadableEpisodeError, match=r"episode 1: camera top: .* of frame 1"
    ) as error:
        list(data.images("top", 1))
    assert error.value.episode == 1


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("codebase_version", "v1.6", "codebase_version is 'v1.6'; expected v2.1 or v3.0"),
        ("fps", 0, "fps is 0"),
        (
            "data_path",
            "/etc/{chunk_index}",
            "data_path is '/etc/{chunk_index}'; expected a path in",
        ),
        ("data_path", "../{file_index}", "expected a path inside the dataset"),
        ("data_path", "{chunk_index.__class__}{x}", "expected a path with nothing else in braces"),
        ("video_path", "{video_key}/../../../a", "expected a path inside the dataset"),
        ("features", [], "features"),
        ("features", {}, "no feature observation.state of numbers"),
    ],
)
def test_an_info_that_can_not_be_is_refused(tmp_path, key, value, reason):
    root = write_foreign_dataset(tmp_path / "set")
    path = root / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match=re.escape(reason)):
        open_demonstrations(root)


def test_a_dataset_without_one_good_episode_is_refused_with_the_first_reason(tmp_path):
    root = write_foreign_dataset(tmp_path / "set")
    (root / DATA).write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"no episode that can be used \(episode 0: .*file-000"):
        open_demonstrations(root)


def test_any_change_gives_another_digest(tmp_path):
    root = write_foreign_dataset(tmp_path / "set")
    before = open_demonstrations(root).contents
    assert open_demonstrations(root).contents == before
    change_cell(root, "action", 25, [0.5] * 6)
    assert open_demonstrations(root).contents != before


def change_cell(root, column, row, value):
    table = pq.read_table(root / DATA)
    cells = table.column(column).to_pylist()
    cells[row] = value
    place = table.column_names.index(column)
    changed = pa.array(cells, table.column(column).type)
    pq.write_table(table.set_column(place, column, changed), root / DATA)


def change_row(root, row, key, value):
    path = root / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[row][key] = value
    pq.write_table(pa.Table.from_pylist(rows), path)


def change_table(root, change):
    table = pq.read_table(root / DATA)
    for name in ("observation.state", "action"):
        column = np.array(table.column(name).to_pylist(), np.float32)
        place = table.column_names.index(name)
        changed = pa.array(change(column).tolist(), table.column(name).type)
        table = table.set_column(place, name, changed)
    pq.write_table(table, root / DATA)
