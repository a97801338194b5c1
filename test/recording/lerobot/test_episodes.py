"""Where the episodes of other programs' datasets lie, and when a frame is."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, image_of, state_of, write_foreign_dataset

ROWS = "meta/episodes/chunk-000/file-000.parquet"
TOP = "observation.images.top"


def test_a_broken_table_of_episodes_costs_those_in_it(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(Written(), images=None))
    rows = pq.read_table(root / ROWS)
    pq.write_table(rows.slice(0, 2), root / ROWS)
    other = root / ROWS.replace("chunk-000", "chunk-001")
    other.parent.mkdir()
    pq.write_table(rows.slice(2), other)
    assert set(open_demonstrations(root).numbers.episodes) == {0, 1, 2, 3}
    other.write_bytes(other.read_bytes()[:-9])
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 1}
    assert any("chunk-001/file-000.parquet: " in line for line in data.refused)


def test_statistics_beside_the_episodes_are_not_read(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(Written(), images=None))
    rows = pq.read_table(root / ROWS)
    many = pa.array([[0.5] * 100_000] * 4)
    for name in range(130):  # more values than a table may have
        rows = rows.append_column(f"stats/{name}/mean", many)
    pq.write_table(rows, root / ROWS)
    assert set(open_demonstrations(root).numbers.episodes) == {0, 1, 2, 3}


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("images", ["h264", "png"])
def test_frames_cut_off_a_table_are_cut_off_its_videos_too(tmp_path, version, images):
    written = Written(version, lengths=(12, 11), images=images)
    root = write_foreign_dataset(tmp_path / "set", written)
    for path in root.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        number = table.column("frame_index").to_numpy()
        table = table.filter(pa.array(number >= 4))
        place = table.column_names.index("frame_index")
        renumbered = pa.array(number[number >= 4] - 4)
        pq.write_table(table.set_column(place, "frame_index", renumbered), path)
    _shorten(root, version, 4)
    data = open_demonstrations(root)
    for episode in (0, 1):
        of_it = data.numbers.episodes == episode
        assert (data.numbers.states[of_it] == state_of(written, episode)[4:-1]).all()
        shown = list(data.images("top", episode))
        assert len(shown) == written.lengths[episode] - 4
        for frame, image in enumerate(shown, 4):
            wanted = image_of(episode, frame, (64, 48)).astype(float)
            assert np.abs(image - wanted).mean() < 4.0


def _shorten(root, version, frames):
    if version == "v3.0":
        rows = pq.read_table(root / ROWS).to_pylist()
        for row in rows:
            row["length"] -= frames
        pq.write_table(pa.Table.from_pylist(rows), root / ROWS)
    else:
        path = root / "meta" / "episodes.jsonl"
        text = path.read_text()
        for length in (12, 11):
            text = text.replace(f'"length": {length}', f'"length": {length - frames}')
        path.write_text(text)


def test_other_images_of_the_same_files_have_another_digest(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", Written())
    before = open_demonstrations(root).contents
    rows = pq.read_table(root / ROWS).to_pylist()
    rows[1][f"videos/{TOP}/from_timestamp"] = 0.0
    pq.write_table(pa.Table.from_pylist(rows), root / ROWS)
    assert open_demonstrations(root).contents != before
