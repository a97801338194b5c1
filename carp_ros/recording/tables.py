"""Columns to Parquet and back, as LeRobot's readers expect them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from carp_ros.whole_file import whole_file

Columns = dict[str, npt.NDArray[Any]]
"""By name, of shape (N, D)."""


def write_columns(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns of shape (N, D); those with D of 1 as plain numbers."""
    arrays = {name: _arrow(column) for name, column in columns.items()}
    write_table(path, pa.table(arrays))


def read_columns(path: Path) -> Columns:
    """Return what `write_columns` wrote."""
    table = pq.read_table(path)
    return {name: _numpy(table.column(name)) for name in table.column_names}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> None:
    """Write rows.

    Args:
        path: Of the file.
        rows: At least one, all with the same keys.
        types: Arrow types of those columns that may be all None.
    """
    table = pa.table(
        {name: pa.array([row[name] for row in rows], type=types.get(name)) for name in rows[0]}
    )
    write_table(path, table)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return what `write_rows` wrote."""
    return pq.read_table(path).to_pylist()


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the tasks by number, with the task's words as the index that pandas reads them by."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)})
    kinds = {"task_index": "int64", "task": "unicode"}
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": "int64" if kind == "int64" else "object",
            "metadata": None,
        }
        for name, kind in kinds.items()
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": columns,
        "pandas_version": "2.0.0",
    }
    write_table(path, table.replace_schema_metadata({"pandas": json.dumps(pandas)}))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all."""
    with whole_file(path) as draft:
        pq.write_table(table, draft, compression="snappy")


def _arrow(column: npt.NDArray[Any]) -> pa.Array:
    width = column.shape[1]
    flat = pa.array(np.ascontiguousarray(column).reshape(-1))
    return flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)


def _numpy(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    array = column.combine_chunks()
    if isinstance(array, pa.FixedSizeListArray):
        return array.flatten().to_numpy().reshape(len(array), -1)
    return array.to_numpy().reshape(-1, 1)
