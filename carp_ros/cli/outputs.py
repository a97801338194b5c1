"""Checks that a verb can write its outputs, before it works for hours."""

from __future__ import annotations

import os
from pathlib import Path

FILES = ("report", "picture", "contact_sheet")
FOLDERS = ("out", "folder")
"""Options with these names, in any verb, are output paths; `out` is a file's in a command that sets
`out_is_file`."""


def require_writable_outputs(command: object) -> None:
    """Check that all output paths among a verb's options can be written.

    Raises:
        ValueError: If one can't; names the option, the path and the reason.
    """
    if getattr(command, "writes_nothing", False) or getattr(command, "record", True) is False:
        return  # `check` only looks, and `up` without the recorder writes nothing
    out_is_file = getattr(command, "out_is_file", False)
    for name in (*FILES, *FOLDERS):
        given = getattr(command, name, None)
        if isinstance(given, str | Path) and str(given):
            wrong = _wrong_with(
                Path(given).absolute(),
                is_folder=name in FOLDERS and not (name == "out" and out_is_file),
            )
            if wrong:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option} is {given}, but {wrong}: choose another place")


def _wrong_with(path: Path, is_folder: bool) -> str:
    """Return why a file or folder can't be written; empty if it can."""
    if path.exists():
        if path.is_dir() != is_folder:
            return f"that is a {'file' if is_folder else 'folder'}"
        found = path
    else:
        found = next(parent for parent in path.parents if parent.exists())
        if not found.is_dir():
            return f"{found} is no folder"
    mode = os.W_OK | (os.X_OK if found.is_dir() else 0)
    return "" if os.access(found, mode) else f"{found} can't be written"
