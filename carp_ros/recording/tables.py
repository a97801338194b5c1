"""Columns to Parquet and back, as LeRobot's readers expect them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from carp_ros.files.given_file import given_bytes
from carp_ros.files.whole_file import whole_file
from carp_ros.refusal import refusing

_MOST_BYTES = 500_000_000
_MOST_VALUES = 50_000_000  # a file of ours, of 1000 s at 30 Hz, has 2 million

Columns = dict[str, npt.NDArray[Any]]
"""By name, of shape (N, D)."""


def write_columns(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns of shape (N, D); those with D of 1 as plain numbers."""
    arrays = {name: _arrow(column) for name, column in columns.items()}
    write_table(path, pa.table(arrays))


def read_columns(path: Path) -> Columns:
    """Return what `write_columns` wrote.

    Raises:
        ValueError: If it is no table of numbers without gaps.
    """
    with refusing(ValueError, str(path)):
        table = read_table(path)
        return {name: _numpy(name, table.column(name)) for name in table.column_names}


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
    """Return what `write_rows` wrote.

    Raises:
        ValueError: If it is no table.
    """
    with refusing(ValueError, str(path)):
        return read_table(path).to_pylist()


def read_table(path: Path) -> pa.Table:
    """Return a table, if the file is one and what it unfolds to is of a reasonable size.

    Raises:
        ValueError: If it is not.
    """
    with refusing(ValueError, str(path)):
        file = pq.ParquetFile(BytesIO(given_bytes(path, _MOST_BYTES)))
        facts = file.metadata
        values = sum(
            facts.row_group(group).column(column).num_values
            for group in range(facts.num_row_groups)
            for column in range(facts.num_columns)
        )
        if max(values, facts.num_rows) > _MOST_VALUES:
            raise ValueError(f"holds {values} values; expected at most {_MOST_VALUES}")
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError("has two columns of one name; expected each once")
        return file.read()


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


def _numpy(name: str, column: pa.ChunkedArray) -> npt.NDArray[Any]:
    if column.null_count:
        raise ValueError(f"{name} lacks {column.null_count} numbers; expected one in each row")
    array = column.combine_chunks()
    if isinstance(array, pa.FixedSizeListArray):
        numbers = array.flatten()
        if numbers.null_count:
            raise ValueError(f"{name} lacks {numbers.null_count} numbers; expected all of them")
        return numbers.to_numpy().reshape(len(array), array.type.list_size)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise ValueError(f"{name} holds {array.type}; expected numbers")
    return array.to_numpy().reshape(-1, 1)
