"""Tables: cells are read in passing, few at a time, and rows without what is not asked for."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.recording import tables
from carp_ros.recording.tables import Cells, iterate_rows, read_columns

TEXTS = [f"cell {row}" for row in range(100)]


@pytest.fixture
def path(tmp_path):
    columns = {
        "text": TEXTS,
        "number": np.arange(100),
        "many": [[0.0] * 50] * 100,
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=30)
    return tmp_path / "x.parquet"


@pytest.mark.parametrize(
    "rows", [range(100), range(40, 95), [7, 3, 99, 0, 0, 31, 30, 29, 60], [99], []]
)
@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_cells_are_those_of_their_rows_in_any_order(path, monkeypatch, rows, at_once):
    monkeypatch.setattr(tables, "_MOST_ROWS_AT_ONCE", at_once)
    cells = Cells(path, "text")
    assert list(cells.of_rows(rows)) == [TEXTS[row] for row in rows]
    assert list(cells.of_rows([5, 50])) == [TEXTS[5], TEXTS[50]]


def test_episodes_one_after_the_other_are_one_pass_over_the_file(path, monkeypatch):
    opened = []
    true = tables.opened_file
    monkeypatch.setattr(tables, "opened_file", lambda path: opened.append(path) or true(path))
    cells = Cells(path, "text")
    for first in range(0, 100, 5):
        assert list(cells.of_rows(range(first, first + 5))) == TEXTS[first : first + 5]
    assert len(opened) == 4  # once for each row group


def test_a_row_that_is_not_there_is_named(path):
    with pytest.raises(ValueError, match=r"x\.parquet has no row 100; was it cut off"):
        list(Cells(path, "text").of_rows([100]))


def test_one_large_cell_that_many_rows_share_is_not_copied_for_each(tmp_path):
    shared = pa.array([b"x" * 4_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(300, np.int32)), shared)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"large": column}), path, dictionary_pagesize_limit=1 << 24)
    before = pa.total_allocated_bytes()
    for cell in Cells(path, "large").of_rows(range(300)):
        assert len(cell) == 4_000_000
        assert pa.total_allocated_bytes() - before < 500_000_000


def test_rows_have_what_is_asked_for_and_there_and_no_lists(path):
    rows = list(iterate_rows(path, ["number", "many", "missing"]))
    assert rows == [{"number": row} for row in range(100)]


def test_columns_that_only_have_to_be_there_are_not_read(path):
    columns = read_columns(path, ["number"], ["text"])
    assert list(columns) == ["number"]
    with pytest.raises(ValueError, match="lacks the column image; it has text, number, many"):
        read_columns(path, ["number"], ["image"])
