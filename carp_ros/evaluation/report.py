"""What a measurement leaves behind: one JSON file that says how its figures came about."""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from carp_ros.evaluation.interval import wilson
from carp_ros.refusal import in_words


def heading(command: Sequence[str], version: str) -> dict[str, Any]:
    """Return what every report begins with: `command`, `version`, `date` and `machine`."""
    today = date.today().isoformat()
    return {"command": list(command), "version": version, "date": today, "machine": machine()}


def machine() -> dict[str, Any]:
    """Return what of this machine a timing may depend on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def success_summary(successes: Sequence[bool]) -> dict[str, Any]:
    """Return `trials`, `successes` and their `interval`, Wilson's at 95 %."""
    low, high = wilson(sum(successes), len(successes))
    return {
        "trials": len(successes),
        "successes": sum(successes),
        "interval": [round(low, 4), round(high, 4)],
    }


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write a report as JSON, whole or not at all.

    A link is followed, and what is no file, such as /dev/stdout, is written to: a draft put in its
    place would remove a device of the machine.

    Raises:
        ValueError: If the file cannot be written.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    try:
        if _is_no_file(path):
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name[:100]}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise ValueError(f"cannot write the report {path}: {error.strerror}") from error


def require_writable(path: Path | None, what: str = "report") -> None:
    """Refuse a place that a file can't be written to, before hours of work are to be kept there.

    Args:
        path: Of the file; None for none.
        what: It is.

    Raises:
        ValueError: If it is a folder, or can't be written.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise ValueError("it is a folder; name a file in it")
        if not _is_no_file(path):
            folder = path.resolve().parent
            folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=folder, prefix=f".{path.name[:100]}."):
                pass
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:  # a zero byte in a path is of the latter
        raise ValueError(f"cannot write the {what} {path}: {in_words(error)}") from error


def _is_no_file(path: Path) -> bool:
    """Tell whether something else is there: a device, a pipe."""
    return path.exists() and not path.is_file()


def _processor() -> str:
    """Return the processor's name as its maker gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
