"""One check: what every probe offers, and how what it finds becomes a line of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from carp_ros.errors import CarpError
from carp_ros.refusal import in_words, named, printable
from carp_ros.reports.check import CheckCode, CheckLine


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        found: In words, with figures.
        remedy: What to do; empty if nothing.
        code: What was found, as a code; None if the remedy alone tells: OK without one, and the
            check's own code with one.
        expected: What is expected.
    """

    found: str
    remedy: str = ""
    code: CheckCode | None = None
    expected: str = ""


class Probe(Protocol):
    """Something that looks at one thing; it may raise anything."""

    @property
    def name(self) -> str:
        """What it looks at, in a word or two."""
        ...

    @property
    def needed_for(self) -> str:
        """What alone needs it; empty if the rig does not run without it."""
        ...

    @property
    def code(self) -> CheckCode:
        """The code of a result that has a remedy but no code."""
        ...

    def look(self) -> CheckResult:
        """Return what is found now."""
        ...


@dataclass(frozen=True)
class Check:
    """A probe that is a function; `Probe` describes the attributes."""

    name: str
    look: Callable[[], CheckResult]
    needed_for: str = ""
    code: CheckCode = CheckCode.NOT_MET


def line_of(probe: Probe) -> CheckLine:
    """Run a probe and return its line; an error of the probe itself is one, too."""
    try:
        result = probe.look()
    except Exception as error:
        # not known to be good: what the rig depends on and can't be looked at is no green light
        result = _failed(error)
    code = result.code or (probe.code if result.remedy else CheckCode.OK)
    return CheckLine(
        probe.name,
        code.verdict,
        code,
        _plain(result.found),
        _plain(result.expected),
        _plain(result.remedy),
        probe.needed_for,
    )


def _failed(error: Exception) -> CheckResult:
    if isinstance(error, CarpError) or (type(error) is ValueError and str(error)):
        return CheckResult("can't be told", in_words(error), CheckCode.FAILED)  # has its remedy
    file = getattr(error, "filename", None)
    where = f"{named(Path(file))}: " if isinstance(file, str) else ""
    return CheckResult(
        f"can't be told: {where}{in_words(error) or type(error).__name__}",
        "run carp check again; if it stays like this, report this line",
        CheckCode.FAILED,
    )


def _plain(text: str) -> str:
    """Return a text, which may hold a device's own words, as one line that prints as it is."""
    return printable(" ".join(text.split()))
