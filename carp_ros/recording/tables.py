"""Writes and reads Parquet files as LeRobot's readers expect them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from carp_ros.files.given_file import opened_file
from carp_ros.files.whole_file import whole_file

_MOST_BYTES = 500_000_000
_BUFFER_BYTES = 1 << 20
_MOST_BYTES_AT_ONCE = 200_000_000
_MOST_ROWS_AT_ONCE = 4096
_MOST_VALUES = 50_000_000  # one of our files, 1000 s at 30 Hz, has 2 million

Columns = dict[str, npt.NDArray[Any]]
"""Columns by name, each of shape (N, D)."""


def write_columns(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write columns of shape (N, D); with D = 1, as plain numbers."""
    arrays = {name: _arrow(column) for name, column in columns.items()}
    write_table(path, pa.table(arrays))


def read_columns(
    path: Path, names: Sequence[str] | None = None, also: Sequence[str] = ()
) -> Columns:
    """Read columns that `write_columns` or another program wrote.

    Args:
        path: The file.
        names: The columns to read; None for all.
        also: Other columns that the file must have.

    Raises:
        ValueError: If it is not a table of numbers without gaps, or lacks one of the columns.
    """
    with _opened(path, names, also) as file:
        table = _read(file, names)
        return {name: _numpy(name, table.column(name)) for name in table.column_names}


def iterate_rows(path: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a table's rows, with those of the named columns that it has; lists are left out.

    Few rows are in memory at a time, and of the other columns none: those that programs add for
    statistics can be a thousand times as large.

    Raises:
        ValueError: If it is not a table.
    """
    with _opened(path, ()) as file:
        schema = file.schema_arrow
        there = [
            name
            for name in names
            if name in schema.names and not pa.types.is_nested(schema.field(name).type)
        ]
        for batch in file.iter_batches(_rows_at_once(file, there), columns=there):
            yield from batch.to_pylist()


def schema_of(path: Path) -> pa.Schema:
    """Return a table's schema.

    Raises:
        ValueError: If it is not a table.
    """
    with _opened(path, ()) as file:
        return file.schema_arrow


class Cells:
    """The cells of one column, with few in memory at a time.

    Cells in the order of their rows are read in one pass over the file, even by several calls. A
    damaged part of the file concerns only the cells in it.

    Args:
        path: The file.
        name: The column.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._batches: Iterator[tuple[int, Any]] = iter(())
        self._first, self._batch = 0, pa.nulls(0)

    def of_rows(self, rows: Iterable[int]) -> Iterator[Any]:
        """Yield the cells of some rows of the file.

        Raises:
            ValueError: If the file is not a table with this column and these rows.
        """
        for row in rows:
            on = row >= self._first and self._read_on(row)
            if not on:
                self._batches, self._first, self._batch = self._of_part_with(row), 0, pa.nulls(0)
                if not self._read_on(row):
                    raise ValueError(f"{self._path} has no row {row}; was it cut off?")
            yield self._batch[row - self._first].as_py()

    def _read_on(self, row: int) -> bool:
        """Read up to a row; return whether it has been found."""
        while row >= self._first + len(self._batch):
            following = next(self._batches, None)
            if following is None:
                return False
            self._first, self._batch = following
        return row >= self._first

    def _of_part_with(self, row: int) -> Iterator[tuple[int, Any]]:
        """Yield the batches of the row group that a row is in, each with its first row."""
        with _opened(self._path, (self._name,)) as file:
            at_once = _rows_at_once(file, (self._name,))
            first = 0
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                if first <= row < end:
                    for batch in file.iter_batches(at_once, [group], [self._name]):
                        yield first, batch.column(self._name)
                        first += len(batch)
                first = end


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
    with _opened(path, None) as file:
        return _read(file, None).to_pylist()


def read_table(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    """Read a table after checking that its decompressed size is reasonable.

    Args:
        path: The file.
        names: The columns to read; None for all.

    Raises:
        ValueError: If it is not a table, is too large, or lacks one of the columns.
    """
    with _opened(path, names) as file:
        return _read(file, names)


@contextmanager
def _opened(
    path: Path, wanted: Sequence[str] | None, also: Sequence[str] = ()
) -> Iterator[pq.ParquetFile]:
    """Open a table to read some columns, all for None; errors are raised with its path."""
    with opened_file(path) as source:
        # buffered: a column is read in parts, not as a whole
        file = pq.ParquetFile(source, buffer_size=_BUFFER_BYTES)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError("has two columns of one name; expected each once")
        if missing := [name for name in (*(wanted or ()), *also) if name not in names]:
            raise ValueError(f"lacks the column {missing[0]}; it has {', '.join(names)}")
        values = sum(chunk.num_values for chunk in _chunks(file, wanted))
        if max(values, file.metadata.num_rows) > _MOST_VALUES:
            raise ValueError(f"holds {values} values; expected at most {_MOST_VALUES}")
        yield file


def _read(file: pq.ParquetFile, names: Sequence[str] | None) -> pa.Table:
    size = sum(chunk.total_uncompressed_size for chunk in _chunks(file, names))
    if size > _MOST_BYTES:
        raise ValueError(f"holds {size} bytes; expected at most {_MOST_BYTES}")
    if names is None:
        return file.read()
    return file.read(columns=list(names)).select(list(names))


def _chunks(file: pq.ParquetFile, names: Sequence[str] | None) -> Iterator[Any]:
    """Yield the metadata of each stored part of some columns; None means all."""
    facts = file.metadata
    columns = [i for i in range(facts.num_columns) if _is_of(facts.schema.column(i).path, names)]
    for group in range(facts.num_row_groups):
        for column in columns:
            yield facts.row_group(group).column(column)


def _rows_at_once(file: pq.ParquetFile, names: Sequence[str]) -> int:
    """Return how many rows to read at a time.

    A cell can be as large as a whole stored part of its column, and rows may share one such cell.
    """
    largest = max(
        (
            chunk.total_uncompressed_size
            for chunk in _chunks(file, names)
            if chunk.physical_type == "BYTE_ARRAY"
        ),
        default=0,
    )
    return max(1, min(_MOST_ROWS_AT_ONCE, _MOST_BYTES_AT_ONCE // max(largest, 1)))


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
