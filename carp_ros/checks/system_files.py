"""The files in which the kernel describes the machine, below a folder that tests may replace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from carp_ros.checks.probe import CheckResult
from carp_ros.reports.check import CheckCode


@dataclass(frozen=True)
class SystemFiles:
    """Reads files of /proc, /sys and /run.

    Attributes:
        root: The folder that stands for `/`.
    """

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """Return the path of a file that is named from the root, as `/proc/version`."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return what `content_of` the file of that name returns."""
        return content_of(self.path(name))

    def number(self, name: str) -> int | None:
        """Return the whole number in a file; None if there is no file, or something else in it."""
        text = self.text(name)
        return int(text) if _NUMBER.fullmatch(text) else None

    def matching(self, folder: str, pattern: str) -> list[Path]:
        """Return the files in a folder that match a pattern, sorted; none if there is no folder."""
        return sorted(self.path(folder).glob(pattern))


THIS_MACHINE = SystemFiles()
_NUMBER = re.compile("-?[0-9]{1,18}")


def content_of(path: Path) -> str:
    """Return a file's content without white space around it; empty if it can't be read.

    Files of the kernel vanish with their device or core, also between being listed and being read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def unreadable(what: str, why: str) -> CheckResult:
    """Return the result of a check for which the system lacks the file."""
    return CheckResult(what, why, CheckCode.UNREADABLE)
