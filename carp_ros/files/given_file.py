"""Files that somebody else may have written: read whole, within a size, or refused by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from carp_ros.refusal import named, refusing

MOST_TEXT_BYTES = 200_000
"""Of a file that a person edits, or that describes a recording or a dataset."""


def given_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file.

    Raises:
        ValueError: If it is missing, not readable, no regular file (but a folder, or a pipe that
            would wait for ever) or larger than `most_bytes`.
    """
    with refusing(ValueError, named(path)):
        # a pipe without a writer must not make `open` wait
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("is no regular file; expected one: name the file itself")
            content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(
            f"{named(path)} has {status.st_size} bytes; expected at most {most_bytes}: is it the"
            " right file?"
        )
    return content


def given_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ValueError: As of `given_bytes`, or if it is not UTF-8.
    """
    try:
        return given_bytes(path, most_bytes).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{named(path)} has the byte 0x{error.object[error.start]:02x} at {error.start};"
            " expected UTF-8: save it in that encoding"
        ) from error
