"""Instructions of other programs' datasets: by text, and a bad one costs only its own episodes."""

import json
import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, write_foreign_dataset

V2 = Written("v2.1", images=None, lengths=(4, 5, 6, 7))  # of two tasks in turn
V3 = replace(V2, version="v3.0")


def with_tasks(root, *rows):
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (root / "meta" / "tasks.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return root


def with_table(root, table):
    pq.write_table(table, root / "meta" / "tasks.parquet")
    return root


OPEN = {"task_index": 1, "task": "Open the drawer."}


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_text_may_hold_what_python_takes_for_the_end_of_a_line(tmp_path, mark):
    written = replace(V2, instructions=(f"Put it{mark}down.", "Open."))
    root = write_foreign_dataset(tmp_path / "set", written)
    with_tasks(root, {"task_index": 0, "task": f"Put it{mark}down."}, OPEN)
    assert open_demonstrations(root).numbers.task_names == ("Put it down.", "Open the drawer.")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"task_index": 0, "task": 5}, "task 0: task is 5; expected a text"),
        ({"task_index": 0, "task": ["a"]}, r"task 0: task is \['a'\]; expected a text"),
        ({"task_index": 0}, "task 0: has no task"),
        ({"task_index": None, "task": "a"}, "task None: task_index is None; expected a whole"),
        ({"task_index": "0", "task": "a"}, "task '0': task_index is '0'; expected a whole"),
    ],
)
def test_a_bad_task_costs_its_own_episodes(tmp_path, row, reason):
    root = with_tasks(write_foreign_dataset(tmp_path / "set", V2), row, OPEN)
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {1, 3}
    _, line, *of_episodes = data.refused
    assert re.match(reason, line), line
    assert [line.split(";")[0] for line in of_episodes] == [
        "episode 0: task_index is 0",
        "episode 2: task_index is 0",
    ]


def test_a_line_that_is_no_json_costs_itself(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V2)
    for name in ("tasks", "episodes"):
        path = root / "meta" / f"{name}.jsonl"
        path.write_bytes(path.read_bytes() + b'{"task": "caf\xe9"}\n{nonsense\n')
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 1, 2, 3}
    lines = [line.partition(" is not JSON")[0].partition(": Unicode")[0] for line in data.refused]
    assert lines[1:] == [
        "tasks.jsonl, line 3",
        "tasks.jsonl, line 4",
        "episodes.jsonl, line 5",
        "episodes.jsonl, line 6",
    ]


def test_a_number_with_two_texts_means_neither(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V3)
    texts = ["Put the cup down.", "Open the drawer.", "Break the cup."]
    with_table(root, pa.table({"task_index": [0, 1, 0], "task": texts}))
    data = open_demonstrations(root)
    assert data.numbers.task_names == ("Open the drawer.",)
    assert "task 0: task_index is 0 twice, with different texts" in data.refused


def test_tasks_without_a_text_stay_different_tasks(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V2)
    with_tasks(root, {"task_index": 0, "task": ""}, OPEN)
    assert open_demonstrations(root).numbers.task_names == ("unnamed", "Open the drawer.")
    with_tasks(root, {"task_index": 0, "task": ""}, {"task_index": 1, "task": None})
    assert open_demonstrations(root).numbers.task_names == ("unnamed 0", "unnamed 1")


def test_the_texts_are_the_index_of_a_pandas_table_whatever_its_name(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V3)
    table = pa.table({"task_index": [0, 1], "said": ["Close it.", "Open it."]})
    with pytest.raises(ValueError, match=r"tasks.parquet: lacks a column task; it has task_index"):
        open_demonstrations(with_table(root, table))
    pandas = {"pandas": json.dumps({"index_columns": ["said"]})}
    with_table(root, table.replace_schema_metadata(pandas))
    assert open_demonstrations(root).numbers.task_names == ("Close it.", "Open it.")
