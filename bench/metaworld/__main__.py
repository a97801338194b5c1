"""`python -m bench.metaworld <verb> [options]`, from the repository's folder."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bench.metaworld.demonstrations import read_demonstrations
from bench.metaworld.jobs import ALL, METHODS, SEEDS, SUBJECTS, Job, jobs_of, run_processes

_HERE = Path(__file__).parent
_OUT = Path("out/metaworld")
_FILE = "demonstrations.npz"
_AFTER = 15
"""Steps that a demonstration goes on after success: the plan of its last moment is whole."""

Method = Literal["carp", "regression"]
Subject = Literal["peg-insert-side-v3", "disassemble-v3", "shelf-place-v3", "stick-pull-v3", "all"]


@dataclass(frozen=True)
class Which:
    """Which networks.

    Attributes:
        out: Folder of everything that is made.
        methods: CARP, the regression, or both.
        subjects: What a network learns: one task, or all four.
        seeds: Of initial weights and order.
    """

    out: Path = _OUT
    methods: tuple[Method, ...] = METHODS  # pyright: ignore[reportAssignmentType]
    subjects: tuple[Subject, ...] = SUBJECTS  # pyright: ignore[reportAssignmentType]
    seeds: tuple[int, ...] = SEEDS

    @property
    def jobs(self) -> list[Job]:
        """All networks that this says."""
        return jobs_of(self.methods, self.subjects, self.seeds)

    def arguments(self, job: Job) -> list[str]:
        """Return the options that say one network of these."""
        options = ["--out", str(self.out), "--methods", job.method]
        return [*options, "--subjects", job.subject, "--seeds", str(job.seed)]


@dataclass(frozen=True)
class DemonstrateCommand:
    """Let Meta-World's scripted experts show each task: seconds, one file of a few megabytes.

    Attributes:
        out: Folder of everything that is made.
        count: Successful demonstrations of each task, each of another layout.
    """

    out: Path = _OUT
    count: int = 50


@dataclass(frozen=True)
class TrainCommand:
    """Train networks on the demonstrations by `carp train`; on a GPU where there is one.

    Stop it at any time and run it again: what is trained stays, what was begun goes on.

    Attributes:
        which: Which networks.
        jobs: How many train side by side, each a process on one thread.
        epochs: Of each training; 0 for the preset's.
    """

    which: Annotated[Which, tyro.conf.arg(name="")] = field(default_factory=Which)
    jobs: int = 1
    epochs: int = 0


@dataclass(frozen=True)
class EvaluateCommand:
    """Try trained networks in Meta-World, on layouts that were not demonstrated.

    Attributes:
        which: Which networks.
        jobs: How many are tried side by side, each a process on one thread.
        layouts: Of each task, for each network.
    """

    which: Annotated[Which, tyro.conf.arg(name="")] = field(default_factory=Which)
    jobs: int = 1
    layouts: int = 100


@dataclass(frozen=True)
class LatencyCommand:
    """Measure how long trained networks take to plan, on one thread; let nothing else run.

    Attributes:
        out: Folder of everything that is made.
        plans: Of each network.
    """

    out: Path = _OUT
    plans: int = 500


@dataclass(frozen=True)
class ReportCommand:
    """Write what was found so far as JSON and into README.md, and print it.

    What the JSON file says of networks that are not here stays: the thirty can be trained on
    several machines, or one after the other.

    Attributes:
        out: Folder of everything that is made.
        results: The JSON file.
        readme: Whose tables are replaced.
    """

    out: Path = _OUT
    results: Path = _HERE / "results.json"
    readme: Path = _HERE / "README.md"


Command = (
    Annotated[DemonstrateCommand, tyro.conf.subcommand("demonstrate")]
    | Annotated[TrainCommand, tyro.conf.subcommand("train")]
    | Annotated[EvaluateCommand, tyro.conf.subcommand("evaluate")]
    | Annotated[LatencyCommand, tyro.conf.subcommand("latency")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
)


def main(command: Command) -> int:
    """Do what was asked for; return the exit code."""
    demonstrations = command_out(command) / _FILE
    match command:
        case DemonstrateCommand():
            if demonstrations.is_file():
                print(f"{demonstrations} is there: {read_demonstrations(demonstrations).digest}")
                return 0
            from bench.metaworld.demonstrate import demonstrate

            demonstrate(demonstrations, command.count, _AFTER + 1)
        case TrainCommand():
            return _train(command, demonstrations)
        case EvaluateCommand():
            return _evaluate(command, demonstrations)
        case LatencyCommand():
            from bench.metaworld.latency import measure

            trained = [SUBJECTS[0], ALL]
            measure(
                jobs_of(METHODS, trained, SEEDS[:1]), command.out, demonstrations, command.plans
            )
        case ReportCommand():
            _report(command, demonstrations)
    return 0


def command_out(command: Command) -> Path:
    """Return the folder that a command is about."""
    return command.which.out if isinstance(command, TrainCommand | EvaluateCommand) else command.out


def _train(command: TrainCommand, demonstrations: Path) -> int:
    which = command.which
    if len(which.jobs) > 1:
        options = ["--epochs", str(command.epochs)]
        commands = {job.name: ["train", *which.arguments(job), *options] for job in which.jobs}
        return run_processes(commands, command.jobs)
    from bench.metaworld.train import train_job

    for job in which.jobs:
        train_job(job, which.out, demonstrations, command.epochs)
    return 0


def _evaluate(command: EvaluateCommand, demonstrations: Path) -> int:
    which = command.which
    if len(which.jobs) > 1:
        options = ["--layouts", str(command.layouts)]
        commands = {job.name: ["evaluate", *which.arguments(job), *options] for job in which.jobs}
        return run_processes(commands, command.jobs)
    from bench.metaworld.evaluate import evaluate_job

    for job in which.jobs:
        evaluate_job(job, which.out, demonstrations, command.layouts)
    return 0


def _report(command: ReportCommand, demonstrations: Path) -> None:
    from bench.markdown import write_between_marks
    from bench.metaworld.report import collect, tables
    from carp_ros.evaluation.report import write_report

    data = read_demonstrations(demonstrations)
    earlier = (
        json.loads(command.results.read_text(encoding="utf-8"))
        if command.results.is_file()
        else None
    )
    content = collect(jobs_of(METHODS, SUBJECTS, SEEDS), command.out, data, earlier)
    text = tables(content)
    write_report(command.results, content)
    write_between_marks(command.readme, "tables", text)
    print(f"{text}\n\n{command.results}, {command.readme}")


def _leave(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    try:
        code = main(tyro.cli(Command, prog="python -m bench.metaworld"))
    except ValueError as error:
        print(f"metaworld: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        code = 128 + signal.SIGINT
    sys.exit(code)
