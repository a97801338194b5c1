"""Trains one job as a user does: by `carp train`, from a dataset."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.metaworld.dataset import dataset_of
from bench.metaworld.demonstrations import read_demonstrations
from bench.metaworld.jobs import TRAINED, Job
from carp_ros.evaluation.report import machine, write_report
from carp_ros.inference.bundle import load_bundle

PRESET = "state"


def train_job(job: Job, out: Path, demonstrations: Path, epochs: int = 0) -> None:
    """Train a job's network, from where an earlier run stopped; nothing if it is trained.

    Args:
        job: Which.
        out: Folder of everything that is made.
        demonstrations: Of all tasks.
        epochs: Of each training; 0 for the preset's.

    Raises:
        ValueError: If a training fails, which has said why.
    """
    folder = job.folder(out)
    if (folder / TRAINED).is_file():
        print(f"{job.name}: is trained", flush=True)
        return
    data = read_demonstrations(demonstrations)
    dataset = dataset_of(out / "datasets", data, job.tasks)
    seconds, commands = {}, commands_of(job, folder, dataset, epochs)
    for stage, command in commands.items():
        begin_s = time.perf_counter()
        print(f"{job.name}: carp {' '.join(command)}", flush=True)
        run = [sys.executable, "-m", "carp_ros.cli.main", *command]
        if subprocess.run(run, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode:
            raise ValueError(f"{job.name}: carp train {stage} failed")
        seconds[stage] = round(time.perf_counter() - begin_s, 1)
    bundle = load_bundle(folder / "policy" / "bundle")
    facts = {
        "demonstrations": data.digest,
        "commands": [["carp", *command] for command in commands.values()],
        "recipe": bundle.manifest.made["recipe"],
        "seconds": seconds,
        "parameters": bundle.manifest.made["parameters"],
        "device": "CPU, one thread",
        "torch": version("torch"),
        "machine": machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    write_report(folder / TRAINED, facts)


def commands_of(job: Job, folder: Path, dataset: Path, epochs: int) -> dict[str, list[str]]:
    """Return what to type behind `carp`, by stage."""
    options = ["--preset", PRESET, "--seed", str(job.seed)]
    options += ["--epochs", str(epochs)] if epochs else []
    policy = ["train", "policy", str(dataset), "--out", str(folder / "policy"), *options]
    if job.method == "regression":
        return {"policy": [*policy, "--policy", "regression"]}
    tokens = str(folder / "tokenizer")
    return {
        "tokenizer": ["train", "tokenizer", str(dataset), "--out", tokens, *options],
        "policy": [*policy, "--tokenizer", tokens],
    }
