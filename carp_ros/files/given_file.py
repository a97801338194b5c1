"""Reads files that other programs may have written: completely, up to a size limit."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from carp_ros.refusal import named, refusing

MOST_TEXT_BYTES = 200_000
"""Limit for files that a person edits, or that describe a recording or a dataset."""


@contextmanager
def opened_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; errors in the block are raised as `ValueError` with its path.

    Raises:
        ValueError: If it is missing, not readable, or not a regular file (such as a folder, or a
            pipe, which could block forever).
    """
    with refusing(ValueError, named(path)):
        # non-blocking: `open` must not wait on a pipe without a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("is no regular file; expected one: name the file itself")
            yield file


def given_bytes(path: Path, most_bytes: int) -> bytes:
    """Read a file.

    Raises:
        ValueError: If it is missing, not readable, not a regular file (such as a folder, or a pipe,
            which could block forever), or larger than `most_bytes`.
    """
    with opened_file(path) as file:
        content = file.read(most_bytes + 1)
        size = os.fstat(file.fileno()).st_size
    if len(content) > most_bytes:
        raise ValueError(
            f"{named(path)} has {size} bytes; expected at most {most_bytes}: is it the right file?"
        )
    return content


def given_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Read a UTF-8 text file.

    Raises:
        ValueError: As `given_bytes`, or if it is not UTF-8.
    """
    try:
        return given_bytes(path, most_bytes).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{named(path)} has the byte 0x{error.object[error.start]:02x} at {error.start};"
            " expected UTF-8: save it in that encoding"
        ) from error
