"""Atomic writing of files and folders, safe against killed processes and power cuts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft"
"""Suffix of incomplete files and folders, which no dataset reader opens."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to, and move the file into place if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + DRAFT)
    yield draft
    sync(draft)
    draft.replace(path)
    sync(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, and move it into place if the block ends without an error.

    If another process has put a folder there in the meantime, that one is kept.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}{DRAFT}")
    remove_folder(draft)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        remove_folder(draft)
        raise
    for part in (*draft.iterdir(), draft):
        sync(part)
    if path.is_dir():
        remove_folder(draft)
    else:
        draft.replace(path)
    sync(path.parent)


def remove_folder(path: Path) -> None:
    """Delete a folder that contains only files, if it exists."""
    if path.is_dir():
        for part in path.iterdir():
            part.unlink()
        path.rmdir()


def sync(path: Path) -> None:
    """Block until a file's content, or a folder's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
