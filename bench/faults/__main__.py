"""`python -m bench.faults`: what comes of wrong input, of every kind, by seed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

_HERE = Path(__file__).parent
RESULTS = _HERE / "results"

What = Literal[
    "rig",
    "rig_fr3",
    "bundle",
    "bag",
    "dataset",
    "checkpoint",
    "message",
    "service",
    "lifecycle",
    "kill",
    "soak",
    "report",
]


@dataclass(frozen=True)
class Command:
    """Spoil one kind of input again and again, give it to the package, and judge what comes of it.

    Each case is made of its seed alone. The table in bench/faults/README.md is written by `report`,
    from what the campaigns left in results/.

    Attributes:
        what: The kind of input; `soak`; or `report`.
        seed: Of the first case; the others follow.
        count: How many cases.
        only: Repeat the case of this seed, and tell of it; nothing is written.
        jobs: So many at a time; a running system takes one after the other.
        minutes: How long `soak` runs; and when a campaign on a running system stops, though not all
            cases were tried: the same command with a later --seed goes on.
        results: Folder of the figures.
    """

    what: tyro.conf.Positional[What]
    seed: int = 0
    count: int = 1000
    only: int | None = None
    jobs: int = 1
    minutes: float = 30.0
    results: Path = RESULTS


def main() -> int:
    """Run a command line and return its exit code: 0 if nothing was found."""
    command = tyro.cli(Command, prog="python -m bench.faults", description=__doc__)
    try:
        return _run(command)
    except ValueError as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1


def _run(command: Command) -> int:
    if command.count < 1:
        raise ValueError(f"--count is {command.count}; expected 1 or more")
    if command.what == "report":
        from bench.faults.report import write_table

        print(write_table(command.results, _HERE / "README.md"))
        return 0
    if command.what == "soak":
        return _soak(command)
    if command.what in ("message", "service", "lifecycle", "kill"):
        return _live(command)
    from bench.faults.static import campaign_of, report, run, show

    campaign = campaign_of(command.what)
    if command.only is not None:
        (case,) = run(campaign, range(command.only, command.only + 1), 1)
        print(show(case))
        return 0
    seeds = range(command.seed, command.seed + command.count)
    cases = run(campaign, seeds, max(1, command.jobs))
    line = f"python -m bench.faults {command.what} --seed {command.seed} --count {command.count}"
    report(cases, seeds, command.results / f"{command.what}.json", line)
    faults = [case for case in cases if case.verdict not in ("refused", "harmless")]
    for case in faults[:20]:
        print(show(case))
    if len(faults) > 20:
        print(f"and {len(faults) - 20} more: {command.results / f'{command.what}.json'}")
    return 1 if faults else 0


def _live(command: Command) -> int:
    from bench.faults.static import merged_report, show
    from carp_ros.processes.ros_environment import enter

    enter()
    from bench.faults.live import run_live

    seeds = range(command.seed, command.seed + command.count)
    if command.only is not None:
        seeds = range(command.only, command.only + 1)
    found = 0
    for case in run_live(command.what, seeds, command.minutes):
        print(show(case), flush=True)
        found += case.verdict not in ("refused", "harmless")
        if command.only is None:
            path = command.results / f"{command.what}.json"
            merged_report(case, path, f"python -m bench.faults {command.what}")
    return 1 if found else 0


def _soak(command: Command) -> int:
    from carp_ros.processes.ros_environment import enter

    enter()
    from bench.faults.soak import soak, table

    content = soak(command.minutes, command.results / "soak.json")
    print(table(content))
    faults = [content[name] for name in ("dangers", "tracebacks", "left_behind") if content[name]]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
