"""`python -m bench.tokenizers <verb> [options]`, from the repository's folder."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

_HERE = Path(__file__).parent
_OUT = Path("out/tokenizers")

Tokenizer = Literal["faster", "fast-mean", "fast-cut-error", "fast-cut-share", "carp", "binning"]


@dataclass(frozen=True)
class Which:
    """Which tokenizers on which data.

    Attributes:
        data: Folders of datasets, of `carp convert` or in LeRobot's format; or `synthetic`.
        out: Folder of everything that is made.
        tokenizers: FASTerVQ; FAST with as many tokens in the mean, and cut at as many, with the
            scale of the least error or of the most steps within 0.1; CARP's multi-scale VQ; bins.
        seeds: Of what is held out, of weights and of the synthetic data.
        preset: Of FASTerVQ.
    """

    data: tuple[str, ...] = ("synthetic",)
    out: Path = _OUT
    tokenizers: tuple[Tokenizer, ...] = get_args(Tokenizer)
    seeds: tuple[int, ...] = (0, 1, 2)
    preset: Literal["cpu-small", "tiny", "paper"] = "cpu-small"


@dataclass(frozen=True)
class MeasureCommand:
    """Fit or train tokenizers, and see how exact they are on episodes that were held out.

    Stop it at any time and run it again: what is done stays, a training that was begun goes on.
    Several can run side by side, with other seeds or data each.

    Attributes:
        which: Which tokenizers on which data.
        steps: Of tokenizers that learn.
        threads: Of each training.
    """

    which: Annotated[Which, tyro.conf.arg(name="")] = field(default_factory=Which)
    steps: int = 1500
    threads: int = 1


@dataclass(frozen=True)
class TimeCommand:
    """Measure how long coding takes, on one thread; let nothing else run.

    Attributes:
        which: Which tokenizers on which data; of each seed that was measured.
        least_s: Over which each time is measured.
    """

    which: Annotated[Which, tyro.conf.arg(name="")] = field(default_factory=Which)
    least_s: float = 0.5


@dataclass(frozen=True)
class ReportCommand:
    """Write what was found so far as JSON, as tables in README.md and as a plot, and print it.

    Rows of the JSON file that are not of what is here stay.

    Attributes:
        out: Folder of everything that was made.
        results: The JSON file.
        readme: Whose tables are replaced.
        plot: The PNG file.
    """

    out: Path = _OUT
    results: Path = _HERE / "results.json"
    readme: Path = _HERE / "README.md"
    plot: Path = _HERE / "results.png"


Command = (
    Annotated[MeasureCommand, tyro.conf.subcommand("measure")]
    | Annotated[TimeCommand, tyro.conf.subcommand("time")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
)


def main(command: Command) -> int:
    """Do what was asked for; return the exit code."""
    match command:
        case MeasureCommand(which=which):
            from bench.tokenizers.measure import measure_all

            measure_all(which, command.steps, command.threads)
        case TimeCommand(which=which):
            from bench.tokenizers.measure import time_all

            time_all(which, command.least_s)
        case ReportCommand():
            from bench.tokenizers.report import report

            print(report(command.out, command.results, command.readme, command.plot))
    return 0


def _leave(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads of its own, besides torch's
    signal.signal(signal.SIGTERM, _leave)
    try:
        code = main(tyro.cli(Command, prog="python -m bench.tokenizers"))
    except ValueError as error:
        print(f"tokenizers: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        code = 128 + signal.SIGINT
    sys.exit(code)
