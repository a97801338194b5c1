"""Tries trained variants out in the simulated cell, all on the same seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ablations.training import read_run
from bench.ablations.variants import VARIANTS, Name
from carp_ros.console.progress import Progress
from carp_ros.evaluation.trials import PolicyAgentFactory, Trial, TrialSettings, run_trials
from carp_ros.export.training_run import export_run
from carp_ros.inference.bundle import MANIFEST, Bundle, load_bundle
from carp_ros.rig import load_rig
from carp_ros.system.bringup import rig_path
from carp_ros.training.run_folder import WEIGHTS

_TRIALS = "trials.jsonl"
"""In a run's folder: a line a trial, written as it ends."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """What is the same for all runs.

    Attributes:
        runs: Folder that was trained into.
        seeds: Of the trials; of each task, one trial each.
        level: Of randomisation.
        timeout_s: Of a trial, in simulated time.
        workers: Processes.
    """

    runs: Path
    seeds: range
    level: str
    timeout_s: float
    workers: int


def finished_runs(runs: Path, variants: tuple[Name, ...], seeds: tuple[int, ...]) -> list[Row]:
    """Return what each finished run says of its training, in the order of the variants.

    Args:
        runs: Folder that was trained into.
        variants: Those that are wanted; none for all.
        seeds: Those that are wanted; none for all.

    Raises:
        ValueError: If none is finished.
    """
    found = []
    for name in variants or tuple(VARIANTS):
        contents = [read_run(folder) for folder in (runs / name).glob("seed_*")]
        of_variant = [content for content in contents if content is not None]
        found += sorted(
            (content for content in of_variant if not seeds or content["seed"] in seeds),
            key=lambda content: content["seed"],
        )
    if not found:
        raise ValueError(f"no finished run in {runs}; expected what `train --out {runs}` leaves")
    return found


def evaluate_run(evaluation: Evaluation, content: Row) -> list[Row]:
    """Return the trials of a run, a row each, after running those that are missing.

    Args:
        evaluation: How.
        content: What the run says of its training.
    """
    if not evaluation.seeds:
        return []
    folder = evaluation.runs / content["variant"] / f"seed_{content['seed']}"
    bundle = _bundle(folder, content)
    rows = []
    for task in bundle.manifest.tasks:
        rows += _task_rows(evaluation, folder, bundle, task, content)
    return rows


def _task_rows(
    evaluation: Evaluation, folder: Path, bundle: Bundle, task: str, content: Row
) -> list[Row]:
    known = {
        "task": task,
        "level": evaluation.level,
        "timeout_s": evaluation.timeout_s,
        "bundle": bundle.sha256,
    }
    done = {row["seed"]: row for row in _read_rows(folder) if known.items() <= row.items()}
    left = [seed for seed in evaluation.seeds if seed not in done]
    if left:
        progress = Progress(len(left), "trials")
        note = f"{content['variant']}, seed {content['seed']}, {task}"
        successes = 0
        for count, trial in enumerate(_trials(evaluation, bundle, task, left), 1):
            row = {**known, **_row(trial)}
            with (folder / _TRIALS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            done[trial.seed] = row
            successes += trial.success
            progress.show(count, f"{note}: {successes} of {count}")
    return [done[seed] for seed in evaluation.seeds]


def _trials(evaluation: Evaluation, bundle: Bundle, task: str, seeds: list[int]) -> Iterator[Trial]:
    settings = TrialSettings(
        load_rig(rig_path(bundle.manifest.rig)),
        task,
        evaluation.level,
        evaluation.timeout_s,
        PolicyAgentFactory(bundle.folder, task),
        needs_cameras=True,
    )
    workers = min(evaluation.workers, len(seeds))
    for trial, _ in run_trials(settings, seeds, (), workers):
        yield trial


def _bundle(folder: Path, content: Row) -> Bundle:
    """Return the bundle of a run; exported, if there is none of these weights yet."""
    run, bundle = folder / "policy", folder / "bundle"
    manifest = bundle / MANIFEST
    if not (manifest.is_file() and manifest.stat().st_mtime > (run / WEIGHTS).stat().st_mtime):
        known = ("variant", "version", "date", "machine")
        export_run(run, bundle, {name: content[name] for name in known})
    return load_bundle(bundle)


def _row(trial: Trial) -> Row:
    return {
        "seed": trial.seed,
        "success": trial.success,
        "reasons": list(trial.reasons),
        "seconds": trial.seconds,
        "timed_out": trial.timed_out,
        "jerk_m_s3": trial.jerk_m_s3,
    }


def _read_rows(folder: Path) -> list[Row]:
    """Return all trials that a run ever had; a line that a kill cut short is none."""
    file = folder / _TRIALS
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
