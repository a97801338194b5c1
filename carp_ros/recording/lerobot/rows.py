"""Reads rows of a LeRobot dataset's metadata; a row that can't be read concerns nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from carp_ros.files.given_file import given_bytes
from carp_ros.files.plain_json import mapping_from_json
from carp_ros.refusal import refusing, shortened

_MOST_BYTES = 200_000_000


def json_rows(path: Path, refused: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON lines.

    Args:
        path: The file.
        refused: Gets a line for each row that can't be read.

    Raises:
        ValueError: If the file can't be read.
    """
    # not by `splitlines`, which also splits at U+2028 and others that JSON allows within a text
    for number, line in enumerate(BytesIO(given_bytes(path, _MOST_BYTES)), 1):
        if line.strip():
            where = f"{path.name}, line {number}"
            try:
                with refusing(ValueError, where):
                    row = mapping_from_json(line.decode(), where)
            except ValueError as error:
                refused.append(str(error))
            else:
                yield row


def whole(row: Mapping[str, Any], name: str) -> int:
    """Return a row's whole number.

    Raises:
        ValueError: If it is missing or something else.
    """
    value = row.get(name)
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError(f"{name} is {shortened(repr(value), 40)}; expected a whole number from 0")
    return value
