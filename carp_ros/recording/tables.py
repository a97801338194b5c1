"""Writes and reads Parquet files as LeRobot's readers expect them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
_ROWS_AT_ONCE = 64  # a row may hold an image
_MOST_VALUES = 50_000_000  # one of our files, 1000 s at 30 Hz, has 2 million

Columns = dict[str, npt.NDArray[Any]]
"""Columns by name, each of shape (N, D)."""


def write_columns(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns of shape (N, D); with D = 1, as plain numbers."""
    arrays = {name: _arrow(column) for name, column in columns.items()}
    write_table(path, pa.table(arrays))


def read_columns(path: Path, names: Sequence[str] | None = None) -> Columns:
    """Read columns that `write_columns` or another program wrote.

    Args:
        path: The file.
        names: The columns to read; None for all.

    Raises:
        ValueError: If it is not a table of numbers without gaps, or lacks one of the columns.
    """
    with refusing(ValueError, str(path)):
        table = read_table(path, names)
        return {name: _numpy(name, table.column(name)) for name in table.column_names}


def iterate_columns(path: Path, *names: str) -> Iterator[tuple[Any, ...]]:
    """Yield the values of some columns row by row, with few rows in memory at a time.

    Raises:
        ValueError: If the file is not a table with these columns.
    """
    with refusing(ValueError, str(path)):
        file = _opened(path, names)
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(names)):
        yield from zip(*(batch.column(name).to_pylist() for name in names))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> None:
    """Write rows.

    Args:
        path: The file.
        rows: At least one row, all with the same keys.
        types: Arrow types of the columns whose values may all be None.
    """
    table = pa.table(
        {name: pa.array([row[name] for row in rows], type=types.get(name)) for name in rows[0]}
    )
    write_table(path, table)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read rows that `write_rows` wrote.

    Raises:
        ValueError: If it is not a table.
    """
    with refusing(ValueError, str(path)):
        return read_table(path).to_pylist()


def read_table(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    """Read a table after checking that its decompressed size is reasonable.

    Args:
        path: The file.
        names: The columns to read; None for all.

    Raises:
        ValueError: If it is not a table, is too large, or lacks one of the columns.
    """
    with refusing(ValueError, str(path)):
        file = _opened(path, names)
        if names is None:
            return file.read()
        return file.read(columns=list(names)).select(list(names))


def _opened(path: Path, wanted: Sequence[str] | None) -> pq.ParquetFile:
    file = pq.ParquetFile(BytesIO(given_bytes(path, _MOST_BYTES)))
    names, facts = file.schema_arrow.names, file.metadata
    if len(set(names)) < len(names):
        raise ValueError("has two columns of one name; expected each once")
    if missing := [name for name in wanted or () if name not in names]:
        raise ValueError(f"lacks the column {missing[0]}; it has {', '.join(names)}")
    values = sum(
        facts.row_group(group).column(column).num_values
        for group in range(facts.num_row_groups)
        for column in range(facts.num_columns)
        if _is_of(facts.schema.column(column).path, wanted)
    )
    if max(values, facts.num_rows) > _MOST_VALUES:
        raise ValueError(f"holds {values} values; expected at most {_MOST_VALUES}")
    return file


def _is_of(path: str, names: Sequence[str] | None) -> bool:
    """Return whether a leaf of the schema belongs to one of the named columns; None means all."""
    return names is None or any(path == name or path.startswith(f"{name}.") for name in names)


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the tasks by number, with the tasks' words as the pandas index."""
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
    """Write a table atomically."""
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
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        array = _of_one_size(name, array)
    if isinstance(array, pa.FixedSizeListArray):
        numbers = array.flatten()
        if numbers.null_count:
            raise ValueError(f"{name} lacks {numbers.null_count} numbers; expected all of them")
        return _plain(name, numbers).reshape(len(array), array.type.list_size)
    return _plain(name, array).reshape(-1, 1)


def _of_one_size(name: str, array: Any) -> pa.FixedSizeListArray:
    """Convert lists of equal length to fixed-size rows."""
    sizes = np.unique(np.diff(array.offsets.to_numpy()))
    if len(sizes) != 1 or not sizes[0]:
        raise ValueError(
            f"{name} has rows of {sizes.tolist()[:4]} numbers; expected as many in each"
        )
    return pa.FixedSizeListArray.from_arrays(array.flatten(), int(sizes[0]))


def _plain(name: str, numbers: Any) -> npt.NDArray[Any]:
    kind = numbers.type
    if pa.types.is_boolean(kind):
        return numbers.to_numpy(zero_copy_only=False)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise ValueError(f"{name} holds {kind}; expected numbers")
    return numbers.to_numpy()
