"""`python -m bench.ablations`: what each choice of the CARP recipe is worth."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bench.ablations.variants import VARIANTS, Name
from bench.ablations.words import command_line
from carp_ros.errors import CarpError
from carp_ros.share import cache_folder

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class TrainCommand:
    """Train each variant with each seed: a tokenizer, then a policy.

    A variant is the preset cpu-small with one choice made otherwise. A tenth of the episodes, the
    same for all, is held out to validate on. Stop it at any time and run the same command again: it
    goes on where it stopped. A variant and seed can also be a process or a machine of its own; runs
    meet in OUT, and nothing but OUT and the images' folder is written. On a machine without PyAV,
    bring the images that another one has kept there.

    Attributes:
        dataset: Folder of `carp convert`.
        out: Folder of the runs: OUT/<variant>/seed_<n>.
        variants: Which; without: all.
        seeds: Of initial weights, order and augmentation.
        epochs: Passes of a policy over the dataset; 0 takes the preset's.
        tokenizer_epochs: Passes of a tokenizer; 0 takes the preset's.
        compile: Let torch.compile write the policies' steps: a minute more a run, shorter steps.
            Needs a C++ compiler.
        jobs: So many runs at a time, each a process; they share the GPU.
        images: Where resized images are kept.
    """

    dataset: tyro.conf.Positional[Path]
    out: Path
    variants: tuple[Name, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 0
    tokenizer_epochs: int = 0
    compile: bool = False
    jobs: int = 1
    images: Path = field(default_factory=lambda: cache_folder() / "images")


@dataclass(frozen=True)
class EvaluateCommand:
    """Export each finished run, try it out in the simulated cell, and write what was found.

    Every run is measured on the same episodes. Trials that were run before are kept beside the run
    and not run again, so it can be stopped, and be called with more trials later. What the results
    say of other runs of the same course stays: they can be made one after the other, or elsewhere.

    Attributes:
        runs: Folder that was trained into.
        variants: Which; without: all.
        seeds: Which seeds of training; without: all that are finished.
        trials: Of each run and task; 0 writes the errors of actions alone.
        seed_start: Seed of the first trial; the others follow.
        level: How much places, colours, light and cameras vary.
        timeout_s: A trial longer than this, in simulated time, is stopped and judged.
        workers: Processes; 0 takes one a core.
        results: Where to write all figures, as JSON.
        readme: Where to write the table, between its two marks.
    """

    runs: tyro.conf.Positional[Path]
    variants: tuple[Name, ...] = ()
    seeds: tuple[int, ...] = ()
    trials: int = 50
    seed_start: int = 20000
    level: Literal["none", "normal", "hard"] = "normal"
    timeout_s: float = 40.0
    workers: int = 0
    results: Path = _HERE / "results.json"
    readme: Path = _HERE / "README.md"


Command = (
    Annotated[TrainCommand, tyro.conf.subcommand("train")]
    | Annotated[EvaluateCommand, tyro.conf.subcommand("evaluate")]
)


def main() -> int:
    """Run a command line and return its exit code."""
    command = tyro.cli(Command, prog="python -m bench.ablations", description=_description())
    try:
        return _train(command) if isinstance(command, TrainCommand) else _evaluate(command)
    except (CarpError, ValueError) as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 1


def _description() -> str:
    rows = "\n".join(f"  {name:<15} {variant.choice}" for name, variant in VARIANTS.items())
    return f"What each choice of the CARP recipe is worth. The variants:\n\n{rows}"


def _train(command: TrainCommand) -> int:
    from bench.ablations.training import Training, train_all

    training = Training(
        command.dataset,
        command.out,
        command.images,
        command.epochs,
        command.tokenizer_epochs,
        compile=command.compile,
    )
    names = command.variants or tuple(VARIANTS)
    runs: list[tuple[Name, int]] = [(name, seed) for seed in command.seeds for name in names]
    return 0 if train_all(training, runs, max(1, command.jobs)) else 1


def _evaluate(command: EvaluateCommand) -> int:
    from bench.ablations.evaluation import Evaluation, evaluate_run, finished_runs
    from bench.ablations.results import conditions, summary, table, with_earlier
    from bench.markdown import write_between_marks
    from carp_ros.evaluation.report import heading, write_report
    from carp_ros.share import version

    evaluation = Evaluation(
        command.runs,
        range(command.seed_start, command.seed_start + command.trials),
        command.level,
        command.timeout_s,
        command.workers or len(os.sched_getaffinity(0)),
    )
    runs = [
        {**content, "trials": evaluate_run(evaluation, content)}
        for content in finished_runs(command.runs, command.variants, command.seeds)
    ]
    if command.results.is_file():
        runs = with_earlier(runs, json.loads(command.results.read_text(encoding="utf-8"))["runs"])
    rows = summary(runs)
    line = command_line()
    text = f"{table(rows)}\n\n{conditions(runs, rows, ' '.join(line))}"
    write_report(command.results, {**heading(line, version()), "variants": rows, "runs": runs})
    write_between_marks(command.readme, "results", text)
    print(f"{text}\n\nresults: {command.results}\ntable: {command.readme}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
