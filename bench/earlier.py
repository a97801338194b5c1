"""Reports that are made in several sittings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

Row = dict[str, Any]


def rows_of_others(
    earlier: Iterable[Row], rows: Iterable[Row], whose: Callable[[Row], Hashable]
) -> list[Row]:
    """Return the rows of an earlier report that are of something that no row is of.

    Args:
        earlier: Its rows.
        rows: Those of this sitting.
        whose: Returns what a row is of.
    """
    known = {whose(row) for row in rows}
    return [row for row in earlier if whose(row) not in known]
