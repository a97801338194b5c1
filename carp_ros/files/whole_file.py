"""Files that exist whole or not at all, whatever kills the process or the power."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft"
"""Ends the name of what is not whole yet; no reader of a dataset looks at such names."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put the file in its place once the block has ended well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + DRAFT)
    yield draft
    sync(draft)
    draft.replace(path)
    sync(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and put it in its place once the block has ended well.

    If another process has put one there meanwhile, that one stays.
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
    """Remove a folder of files, if it is there."""
    if path.is_dir():
        for part in path.iterdir():
            part.unlink()
        path.rmdir()


def sync(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
