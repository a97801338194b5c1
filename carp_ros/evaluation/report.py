"""JSON reports of measurements, with the provenance of their figures."""

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
    """Return the header of every report: `command`, `version`, `date` and `machine`."""
    today = date.today().isoformat()
    return {"command": list(command), "version": version, "date": today, "machine": machine()}


def machine() -> dict[str, Any]:
    """Return the properties of this machine that timings depend on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def success_summary(successes: Sequence[bool]) -> dict[str, Any]:
    """Return `trials`, `successes` and their `interval`, the 95 % Wilson interval."""
    low, high = wilson(sum(successes), len(successes))
    return {
        "trials": len(successes),
        "successes": sum(successes),
        "interval": [round(low, 4), round(high, 4)],
    }


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write a report as JSON, atomically.

    Links are followed. Paths that are not regular files, such as /dev/stdout, are written to
    directly: an atomic replacement would delete the device.

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
    """Check that an output file can be written, before hours of work.

    Args:
        path: The file; None skips the check.
        what: What the file is, for the error message.

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
    except (OSError, ValueError) as error:  # a null byte in a path raises ValueError
        raise ValueError(f"cannot write the {what} {path}: {in_words(error)}") from error


def _is_no_file(path: Path) -> bool:
    """Return whether the path is something other than a regular file, such as a device or pipe."""
    return path.exists() and not path.is_file()


def _processor() -> str:
    """Return the processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
