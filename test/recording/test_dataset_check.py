"""Every file of a dataset is changed in turn: it is refused by name before anything reads it."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.recording.dataset import Dataset
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.recording.tables import read_columns, write_columns
from carp_ros.recording.video import VideoWriter, read_video

from ..small_dataset import write_small_dataset

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
TASKS = "meta/tasks.parquet"
VIDEO = "videos/observation.images.cam/chunk-000/file-000.mp4"
DIGESTS = "meta/videos_sha256.json"
FILES = (DATA, EPISODES, TASKS, VIDEO, "meta/info.json", "meta/stats.json", "meta/carp.json")
FRAMES = 121


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("dataset") / "cups")


@pytest.fixture
def dataset(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "cups")


def test_a_dataset_as_it_was_written_is_read(dataset):
    reader = DatasetReader(dataset)
    assert reader.frames == FRAMES
    assert sum(1 for e in range(4) for _ in reader.images("cam", e)) == FRAMES


def test_a_dataset_of_before_that_has_no_digests_of_its_videos_is_read(dataset):
    (dataset / DIGESTS).unlink()
    assert DatasetReader(dataset).frames == FRAMES


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "empty", "list", "other"])
def test_digests_of_videos_are_read_or_refused_but_never_overlooked(dataset, kind):
    path = dataset / DIGESTS
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    else:
        path.write_text({"empty": "", "list": "[]", "other": '{"x": 1}'}[kind])
    with pytest.raises(ValueError, match=f"{dataset}"):
        DatasetReader(dataset)


def column(name, change):
    """Return what changes a column of the numbers of all frames."""

    def spoil(root: Path) -> None:
        columns = read_columns(root / DATA)
        columns[name] = change(columns[name].copy())
        write_columns(root / DATA, columns)

    return spoil


def at(frame, value):
    def change(numbers):
        numbers[frame] = value
        return numbers

    return change


def rows(change):
    """Return what changes the episodes' rows."""

    def spoil(root: Path) -> None:
        table = pq.read_table(root / EPISODES)
        found = table.to_pylist()
        change(found)
        pq.write_table(pa.Table.from_pylist(found, schema=table.schema), root / EPISODES)

    return spoil


def text(name, change):
    """Return what changes a JSON file."""

    def spoil(root: Path) -> None:
        content = json.loads((root / name).read_text())
        change(content)
        (root / name).write_text(json.dumps(content))

    return spoil


def table_of_half(root: Path) -> None:
    columns = read_columns(root / DATA)
    write_columns(root / DATA, {name: numbers[:60] for name, numbers in columns.items()})


def table_in_another_order(root: Path) -> None:
    columns = read_columns(root / DATA)
    order = np.random.default_rng(0).permutation(FRAMES)
    write_columns(root / DATA, {name: numbers[order] for name, numbers in columns.items()})


def table_without(name):
    def spoil(root: Path) -> None:
        pq.write_table(pq.read_table(root / DATA).drop_columns(name), root / DATA)

    return spoil


def video_of_one_image_less(root: Path) -> None:
    black = np.zeros((48, 64, 3), np.uint8)
    write_video(root / VIDEO, [black] * (FRAMES - 1))


def video_backwards(root: Path) -> None:
    write_video(root / VIDEO, list(read_video(root / VIDEO))[::-1])


def write_video(path, images):
    writer = VideoWriter(path, 64, 48, 10)
    for image in images:
        writer.add(image)
    writer.close()


def update(*path, **values):
    def change(content):
        for key in path:
            content = content[key]
        content.update(values)

    return change


SPOILT = {
    "frame_index of 0": (column("frame_index", lambda n: 0 * n), "frame 1: frame_index is 0;"),
    "episodes mixed up": (column("episode_index", at(5, 1)), "episode_index is 1"),
    "index": (column("index", lambda n: n[::-1].copy()), "frame 0: index is 120"),
    "task": (column("task_index", at(0, 3)), "task_index is 3"),
    "timestamp": (column("timestamp", at(3, 0.0)), "frame 3: timestamp is 0.0"),
    "stamps that run back": (column("stamp_ns", at(7, 0)), "stamp_ns is 0; expected rising"),
    "camera far from its frame": (
        column("stamp_ns.cam", at(7, 10**9)),
        "expected stamp_ns, within",
    ),
    "NaN in an action": (column("action", at(9, np.nan)), "frame 9: action is .*finite numbers"),
    "infinite state": (column("observation.state", at((9, 0), np.inf)), "frame 9: observation"),
    "gripper in percent": (column("action", at((9, 9), 85.0)), "a gripper of 0 to 1"),
    "no rotation": (column("action", at((9, slice(3, 9)), 0.0)), "columns of a rotation matrix"),
    "far away": (column("action", at((9, 0), 300.0)), "positions within 10 m"),
    "another value": (column("action", at((9, 0), 0.123)), "episode 0: statistics of action"),
    "another type": (column("action", lambda n: n.astype(np.float64)), "action is float64"),
    "another shape": (column("action", lambda n: n[:, :7]), r"action is float32 of shape"),
    "fewer rows": (table_of_half, "of shape"),
    "rows out of order": (table_in_another_order, "in order"),
    "a column missing": (table_without("action"), "columns action are missing or unexpected"),
    "length": (rows(lambda r: r[1].update(length=5)), "episode 1: dataset_to_index"),
    "no length": (rows(lambda r: r[1].update(length=None)), "episode 1: length is None"),
    "negative file": (rows(lambda r: r[0].update({"data/file_index": -1})), "chunk 0, file -1"),
    "files skipped": (rows(lambda r: r[0].update({"data/file_index": 7})), "in the files 7"),
    "an episode twice": (rows(lambda r: r.insert(1, r[0])), "episode 1: episode_index is 0"),
    "no episode": (rows(lambda r: r.clear()), "holds no episode"),
    "no source": (rows(lambda r: r[2].update(source=None)), "episode 2: source is None"),
    "verdict": (rows(lambda r: r[2].update(verdict="blue")), "episode 2: verdict is 'blue'"),
    "no task": (rows(lambda r: r[2].update(tasks=[])), "episode 2: tasks"),
    "count of images": (
        rows(lambda r: r[0].update({"stats/observation.images.cam/count": [3]})),
        "not those of 20 images",
    ),
    "fewer images": (video_of_one_image_less, "it has 120 images; expected 121"),
    "other images, as many": (video_backwards, "file-000.mp4 was changed: its SHA-256 is not"),
    "path that leaves the folder": (
        text("meta/info.json", update(data_path="../../{chunk_index}.parquet")),
        "data_path is '../../",
    ),
    "rate": (text("meta/info.json", update(fps=30)), "fps is 30; expected 10"),
    "version": (text("meta/info.json", update(codebase_version="v2.1")), "codebase_version"),
    "total": (text("meta/info.json", update(total_frames=7)), "total_frames is 7; expected 121"),
    "feature": (
        text("meta/info.json", update("features", "action", shape=[7])),
        r"features.action.shape is \[7\]",
    ),
    "statistics of all": (
        text("meta/stats.json", update("action", mean=[0.0] * 10)),
        "stats.json: action: mean",
    ),
    "statistics missing": (text("meta/stats.json", lambda c: c.pop("action")), "stats.json has"),
    "camera that is a path": (
        text("meta/carp.json", update(cameras={"../../etc": [64, 48]})),
        r"carp.json: cameras: key is '../../etc'; expected a name",
    ),
    "camera of no size": (text("meta/carp.json", update(cameras={"cam": [0, 48]})), "cameras.cam"),
    "reference": (text("meta/carp.json", update(reference="x")), "reference is 'x'; expected one"),
    "key missing": (text("meta/carp.json", lambda c: c.pop("robot")), "key 'robot' is missing"),
    "another joint": (
        text("meta/carp.json", update(joint_names=["j0", "j1", "j2"])),
        "observation.joints is float32 of shape",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_dataset_that_was_changed_is_refused_with_what_is_wrong(dataset, name):
    spoil, problem = SPOILT[name]
    spoil(dataset)
    with pytest.raises(ValueError, match=rf"{dataset}[\s\S]*{problem}"):
        DatasetReader(dataset)


def test_nothing_is_added_to_a_dataset_that_was_changed(dataset):
    column("frame_index", lambda numbers: 0 * numbers)(dataset)
    for _ in range(2):  # the lock is given back
        with pytest.raises(ValueError, match="frame_index is 0"):
            Dataset(dataset, "whole")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "link to itself", "empty", "huge"])
def test_what_is_no_file_of_a_dataset_is_refused_at_once(dataset, name, kind):
    path = dataset / name
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind != "missing":
        path.touch()
        os.truncate(path, 0 if kind == "empty" else 10**9)
    with pytest.raises(ValueError, match=f"{dataset}"):
        DatasetReader(dataset)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(FILES))
def test_whatever_byte_is_changed_a_dataset_is_refused_or_reads_as_before(
    tmp_path_factory, whole, data, name
):
    root = shutil.copytree(whole, tmp_path_factory.mktemp("changed") / "cups")
    content = bytearray((root / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (root / name).write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        reader = DatasetReader(root)
        for episode in range(len(reader.episodes)):
            list(reader.images("cam", episode))
    except ValueError as error:
        assert str(root) in str(error)  # noqa: PT017
    else:
        expected = DatasetReader(whole).columns
        for key, numbers in reader.columns.items():
            np.testing.assert_allclose(numbers, expected[key], rtol=1e-3, atol=1e-3)


def test_a_dataset_of_another_program_is_refused_in_one_sentence(dataset):
    (dataset / "meta" / "carp.json").unlink()
    with pytest.raises(
        ValueError,
        match=r"is a LeRobot dataset v3.0 of another program \(robot ur5e; observation.*it lacks"
        r".*carp.json, which says the rig",
    ):
        DatasetReader(dataset)
