"""`python -m bench.faults`: what comes of wrong input, of every kind, by seed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

_HERE = Path(__file__).parent
RESULTS = _HERE / "results"

What = Literal["rig", "bundle", "bag", "dataset", "checkpoint", "report"]


@dataclass(frozen=True)
class Command:
    """Spoil one kind of input again and again, give it to the package, and judge what comes of it.

    Each case is made of its seed alone. The table in bench/faults/README.md is written by `report`,
    from what the campaigns left in results/.

    Attributes:
        what: The kind of input; or `report`.
        seed: Of the first case; the others follow.
        count: How many cases.
        only: Repeat the case of this seed, and tell of it; nothing is written.
        jobs: So many at a time.
        results: Folder of the figures.
    """

    what: tyro.conf.Positional[What]
    seed: int = 0
    count: int = 1000
    only: int | None = None
    jobs: int = 1
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


if __name__ == "__main__":
    sys.exit(main())
