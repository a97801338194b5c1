"""`carp check`: what the machine and a rig's devices lack, with a remedy for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from carp_ros.checks.probe import Check, CheckResult, Probe, line_of
from carp_ros.checks.selection import probes_of, probes_of_the_machine
from carp_ros.checks.system_files import SystemFiles
from carp_ros.cli.options import Text
from carp_ros.processes.ros_environment import enter
from carp_ros.reports.check import CheckCode, CheckLine, CheckReport, Verdict
from carp_ros.reports.json_report import report_to_json
from carp_ros.rig import Rig, load_nominal_rig, load_rig
from carp_ros.share import version
from carp_ros.system.bringup import bundle_path, rig_path, shipped_bundle

_COLOURS = {Verdict.GREEN: 32, Verdict.RED: 31, Verdict.UNKNOWN: 33}
_INDENT = " " * 24


@dataclass(frozen=True)
class CheckCommand:
    """Report, line by line, what this machine and a rig's devices lack, with remedies.

    Exit code 1 if the rig, or without one the simulated rig, does not run like this. Not while the
    rig runs: its cameras and ports are opened.

    Attributes:
        writes_nothing: The folder for episodes is only looked at.
        rig: A rig's file, or the name of one in config/; without one only the machine is looked at.
        named: The same, in its earlier spelling.
        bundle: A policy's folder, or its name in models/: does it fit rig and GPU? Empty: of a
            simulated rig the one of its task.
        folder: Folder for episodes, whose free space is looked at.
        json: Print a report for programs in place of lines for people.
    """

    writes_nothing: ClassVar[bool] = True

    rig: tyro.conf.Positional[Text] = ""
    named: Annotated[Text, tyro.conf.arg(name="rig")] = ""
    bundle: Text = ""
    folder: Text = "episodes"
    json: bool = False


def main(command: CheckCommand) -> int:
    """Look at everything, print it as it comes, and return 1 if the rig does not run like this."""
    if command.rig and command.named and command.rig != command.named:
        raise ValueError(
            f"two rigs are named, {command.rig} and {command.named}; expected one: carp check <rig>"
        )
    name = command.rig or command.named
    rig = _loaded(rig_path(name)) if name else None
    report = CheckReport(
        rig.name if rig else "",
        rig.file.sha256 if rig else "",
        datetime.now(UTC).isoformat(timespec="seconds"),
        version(),
        tuple(_lines(_probes(command, rig), quiet=command.json)),
    )
    if command.json:
        print(report_to_json(report))
    else:
        print(_summary(report))
    return int(bool(report.stopping))


def _loaded(path: Path) -> Rig:
    """Return a rig; if its calibration is unusable, which a check tells, as its own file has it."""
    rig = load_nominal_rig(path)
    with suppress(ValueError):
        rig = load_rig(path)
    return rig


def _probes(command: CheckCommand, rig: Rig | None) -> list[Probe]:
    if rig is None and command.bundle:
        raise ValueError("--bundle is given without a rig; expected carp check <rig> --bundle ...")
    folder, files = Path(command.folder).expanduser(), SystemFiles()
    wrong: list[Probe] = []
    try:
        enter()
    except ValueError as error:  # every verb and node would fail with this error
        found = CheckResult("not usable", str(error))
        wrong = [Check("settings", lambda: found, code=CheckCode.SETTINGS)]
    if rig is None:
        probes = list(probes_of_the_machine(folder, files))
    else:
        bundle = bundle_path(command.bundle) if command.bundle else None
        if rig.cell and bundle is None:
            shipped = shipped_bundle(rig.cell.task, rig)
            bundle = shipped.folder if shipped else None
        probes = list(probes_of(rig, bundle, folder, files))
    if wrong:  # those two would only tell of the same settings again
        probes = [p for p in probes if p.code not in (CheckCode.NO_ROS, CheckCode.DDS_SETTINGS)]
    return [*wrong, *probes]


def _lines(probes: Iterable[Probe], *, quiet: bool) -> Iterable[CheckLine]:
    """Yield one line after another, printed unless `quiet`."""
    waits = sys.stderr.isatty()
    for probe in probes:
        if waits:
            print(f"\r\033[K... {probe.name}", end="", file=sys.stderr, flush=True)
        line = line_of(probe)
        if waits:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if not quiet:
            print(text_of(line), flush=True)
        yield line


def text_of(line: CheckLine) -> str:
    """Return a line of the report as people read it."""
    rows = [f"{_coloured(line.verdict)} {line.name:<14} {line.value}"]
    if line.verdict is not Verdict.GREEN:
        rows[0] += f" [{line.code.name}]"
        if line.expected:
            rows.append(f"{_INDENT}expected: {line.expected}")
    if line.remedy:
        purpose = f" (only for {line.needed_for})" if line.needed_for else ""
        rows.append(f"{_INDENT}remedy{purpose}: {line.remedy}")
    return "\n".join(rows)


def _summary(report: CheckReport) -> str:
    count = {verdict: 0 for verdict in Verdict}
    for line in report.lines:
        count[line.verdict] += 1
    text = ", ".join(f"{n} {verdict.name.lower()}" for verdict, n in count.items() if n)
    what = report.rig or "the simulated rig"
    if report.stopping:
        names = ", ".join(line.name for line in report.stopping)
        return f"{text}: {what} does not run before these are green: {names}"
    return f"{text}: {what} can run"


def _coloured(verdict: Verdict) -> str:
    """Return the verdict at a fixed width, coloured on a terminal."""
    text = f"{verdict.name.lower():<8}"
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{_COLOURS[verdict]}m{text}\033[0m"
