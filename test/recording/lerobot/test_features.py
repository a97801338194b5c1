"""What other programs declare of their features, and what their tables then hold."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.recording.lerobot.features import FeatureChoice, chosen_features
from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, write_foreign_dataset

V2 = Written("v2.1", images=None, lengths=(4, 5, 6))
PLACES = [f"observation.state_{i}" for i in range(4)]


def numbers(count, names=None, dtype="float32"):
    return {"dtype": dtype, "shape": [count], "names": names}


def camera(shape, names=None, **more):
    return {"dtype": "video", "shape": shape, "names": names, **more}


def features_of(**others):
    known = {"observation.state": numbers(4), "action": numbers(4)}
    return chosen_features({**known, **others}, FeatureChoice())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([["a", "b", "c", "d"]], ["a", "b", "c", "d"]),
        ({"arm": ["a", "b", "c"], "hand": ["d"]}, ["a", "b", "c", "d"]),
        ({"left": ["a", "b"], "right": ["a", "b"]}, ["left.a", "left.b", "right.a", "right.b"]),
        ({"d": 3, "a": 0, "b": 1, "c": 2}, ["a", "b", "c", "d"]),
        ([None] * 4, PLACES),
        ([["a"], ["b"], ["c"], ["d"]], PLACES),
        ({"a": {"b": ["c"]}}, PLACES),
        ([[["a"]]], PLACES),
        ("abcd", PLACES),
    ],
)
def test_names_are_found_however_they_are_nested(names, expected):
    found = chosen_features(
        {"observation.state": numbers(4, names), "action": numbers(1)}, FeatureChoice()
    )
    assert list(found.state.names) == expected


@pytest.mark.parametrize(("names", "expected"), [([None], "action"), ([["grip"]], "grip")])
def test_one_number_is_named_after_its_name_or_its_feature(names, expected):
    known = {"observation.state": numbers(4), "action": numbers(1, names)}
    assert chosen_features(known, FeatureChoice()).action.names == (expected,)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "int8", "float16", "bool"])
def test_numbers_of_every_type_are_numbers(dtype):
    known = {"observation.state": numbers(4, None, dtype), "action": numbers(4)}
    assert chosen_features(known, FeatureChoice()).counts == {"observation.state": 4, "action": 4}


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ([48, 64, 3], ["height", "width", "channels"]),
        ([48, 64, 3], ["height", "width", "rgb"]),
        ([48, 64, 3], ["channels", "height", "width"]),  # wrong
        ([48, 64, 3], {"axes": ["height", "width", "channels"]}),
        ([48, 64, 3], None),
        ([3, 48, 64], ["channels", "height", "width"]),
        ([3, 48, 64], ["height", "width", "channels"]),  # wrong
        ([3, 48, 64], None),
        ([64, 48, 3], ["width", "height", "channels"]),
        ([3, 64, 48], ["channels", "width", "height"]),
    ],
)
def test_the_size_of_images_is_found_in_any_order_of_their_shape(shape, names):
    (found,) = features_of(top=camera(shape, names)).cameras
    assert (found.width_px, found.height_px) == (64, 48)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ([1, 2], r"is \[1, 2\]; expected dtype and shape"),
        (None, "is None; expected dtype and shape"),
        (camera([480, 5000, 3]), "has 5000x480 px; expected at most 4096 each"),
        (camera([48, 64, 3], info={"is_depth_map": True}), "holds depth"),
        (camera([48, 64, 3], video_info={"video.is_depth_map": True}), "holds depth"),
    ],
)
def test_a_feature_that_can_not_be_used_costs_no_other(declared, reason):
    (line,) = features_of(odd=declared).refused
    assert line.startswith("odd: ")
    assert re.search(reason, line), line


@pytest.mark.parametrize("name", ["a\nleft out: b", "\x1b[2J", "\ud800"])
def test_a_name_breaks_no_line_and_moves_no_cursor(tmp_path, name):
    root = write_foreign_dataset(tmp_path / "set", V2)
    path = root / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"][name] = {"dtype": "string", "shape": [1]}
    path.write_text(json.dumps(info))
    assert all(line.isprintable() for line in open_demonstrations(root).refused)


@pytest.mark.parametrize("width", [5, 7])
@pytest.mark.parametrize("column", ["observation.state", "action"])
def test_a_table_with_rows_of_another_width_than_declared_is_left_out(tmp_path, column, width):
    root = write_foreign_dataset(tmp_path / "set", V2)
    path = root / "data/chunk-000/episode_000001.parquet"
    table = pq.read_table(path)
    rows = pa.array(np.zeros((5, width)).tolist(), pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index(column), column, rows), path)
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 2}
    reason = f"{column} has {width} numbers in each row; expected 6, as info.json says"
    assert any(line.startswith("episode 1: ") and reason in line for line in data.refused)


def test_a_table_without_the_images_that_are_declared_is_left_out(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(V2, images="png"))
    path = root / "data/chunk-000/episode_000001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["observation.images.top"]), path)
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 2}
    assert any("lacks the column observation.images.top" in line for line in data.refused)
