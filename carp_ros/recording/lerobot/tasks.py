"""Reads the instructions of a LeRobot dataset's tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carp_ros.recording.lerobot.info import LeRobotInfo
from carp_ros.recording.lerobot.rows import json_rows, whole
from carp_ros.recording.tables import iterate_rows, schema_of
from carp_ros.refusal import in_words, refusing, shortened

_TEXT = "task"
_UNNAMED_INDEX = "__index_level_0__"  # pandas' name for it in a file
_WITHOUT_TEXT = "unnamed"


def read_tasks(root: Path, info: LeRobotInfo) -> tuple[dict[int, str], list[str]]:
    """Return the instructions by `task_index`, and why others can't be used.

    A task without a text is called unnamed; several are told apart by their numbers.

    Raises:
        ValueError: If their file can't be read.
    """
    refused: list[str] = []
    if info.is_v3:
        rows: Iterable[Mapping[str, Any]] = _rows_v3(root / "meta" / "tasks.parquet")
    else:
        rows = json_rows(root / "meta" / "tasks.jsonl", refused)
    tasks: dict[int, str] = {}
    twice: set[int] = set()
    for number, row in enumerate(rows):
        try:
            index, text = whole(row, "task_index"), _text(row)
            if tasks.setdefault(index, text) != text:
                twice.add(index)
        except Exception as error:  # a bad row concerns only its own task
            name = shortened(repr(row.get("task_index", f"of row {number}")), 40)
            refused.append(f"task {name}: {in_words(error)}")
    for index in sorted(twice):
        refused.append(f"task {index}: task_index is {index} twice, with different texts")
        del tasks[index]
    blank = [index for index, text in tasks.items() if not text]
    for index in blank:
        tasks[index] = _WITHOUT_TEXT if len(blank) == 1 else f"{_WITHOUT_TEXT} {index}"
    return tasks, refused


def _rows_v3(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of tasks.parquet, whose texts are the index of a pandas table."""
    with refusing(ValueError, str(path)):
        schema = schema_of(path)
        pandas = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        indices = [name for name in pandas.get("index_columns", ()) if isinstance(name, str)]
        column = next(
            (name for name in (_TEXT, _UNNAMED_INDEX, *indices) if name in schema.names), None
        )
        if column is None:
            raise ValueError(f"lacks a column {_TEXT}; it has {', '.join(schema.names)}")
    for row in iterate_rows(path, ("task_index", column)):
        yield {"task_index": row.get("task_index"), _TEXT: row.get(column)}


def _text(row: Mapping[str, Any]) -> str:
    if _TEXT not in row:
        raise ValueError(f"has no {_TEXT}; expected its instruction there")
    text = row[_TEXT]
    if text is not None and not isinstance(text, str):
        raise ValueError(f"{_TEXT} is {shortened(repr(text), 60)}; expected a text")
    return " ".join((text or "").split())
