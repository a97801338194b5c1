"""Trains one job, from demonstrations alone: a GPU machine needs no Meta-World."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.metaworld import carp
from bench.metaworld.demonstrations import Floats, read_demonstrations, windows_of
from bench.metaworld.jobs import ALL, TRAINED, Job, Lines
from bench.metaworld.learning import Plan, Table
from bench.metaworld.recipe import Recipe
from bench.metaworld.regression import RegressionTrainee, make_regression
from carp_ros.evaluation.report import machine, write_report
from carp_ros.training.device import training_device
from carp_ros.training.loop import LoopConfig, Trainee, train
from carp_ros.training.run_folder import RunFolder, read_weights

_LONGER = 2
"""The networks of all tasks are trained for so many times the steps."""


def train_job(job: Job, out: Path, demonstrations: Path, recipe: Recipe) -> None:
    """Train a job's network, from where an earlier run stopped; nothing if it is trained.

    Raises:
        ValueError: If its folder holds a training of other demonstrations or another recipe.
    """
    torch.set_num_threads(1)
    recipe = _recipe_of(job, recipe)
    data = read_demonstrations(demonstrations)
    config = {
        "kind": f"metaworld {job.method}",
        "tasks": list(job.tasks),
        "demonstrations": data.digest,
        "recipe": dataclasses.asdict(recipe),
    }
    folder = job.folder(out)
    policy = RunFolder(folder / "policy", config)
    if (folder / TRAINED).is_file():
        print(f"{job.name}: is trained", flush=True)
        return
    windows = windows_of(data, job.tasks, recipe.vq.horizon)
    table = Table(windows, recipe.steps_an_epoch, recipe.batch)
    steps, seconds = table.steps_an_epoch, {}
    if job.method == "carp":
        tokenizer = carp.make_tokenizer(recipe, windows)
        trainee = carp.TokenizerTrainee(tokenizer, table)
        first = RunFolder(folder / "tokenizer", config)
        seconds["tokenizer"] = _train(
            trainee, recipe.tokenizer_loop(steps), first, f"{job.name} tokenizer"
        )
        network = carp.make_policy(recipe, tokenizer.eval(), len(job.tasks), windows)
        trainee = carp.PolicyTrainee(network, table, recipe.code_spread)
        loop = recipe.carp_loop(steps)
    else:
        network = make_regression(recipe, len(job.tasks), windows)
        trainee, loop = RegressionTrainee(network, table), recipe.regression_loop(steps)
    seconds["policy"] = _train(trainee, loop, policy, job.name)
    facts = {
        "recipe": config["recipe"],
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "windows": len(windows),
        "parameters": _count(network),
        "figures": policy.figures()[-1],
        "device": _device_name(),
        "torch": torch.__version__,
        "machine": machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    write_report(folder / TRAINED, facts)


class Planner:
    """A trained network at work on the CPU, one thread, one state at a time."""

    def __init__(self, job: Job, out: Path) -> None:
        from carp_ros.strict import read_strictly  # needs YAML, and training does not

        folder = job.folder(out)
        if not (folder / TRAINED).is_file():
            raise ValueError(f"{folder} holds no finished training of {job.name}; train it first")
        config, weights = read_weights(folder / "policy")
        self.recipe = read_strictly(Recipe, config["recipe"], f"{folder}: recipe")
        self.demonstrations: str = config["demonstrations"]
        self.facts: dict[str, Any] = json.loads((folder / TRAINED).read_text(encoding="utf-8"))
        network, self._plan = _untrained(job, self.recipe)
        network.load_state_dict(weights)
        network.eval()
        self._several = len(job.tasks) > 1
        torch.set_num_threads(1)

    @torch.inference_mode()
    def __call__(self, state: Floats, task: int) -> Floats:
        """Return actions (H, D) for a state (S,) of a task, by index among the job's."""
        tasks = torch.tensor([task]) if self._several else None
        return self._plan(torch.from_numpy(state)[None], tasks)[0].numpy()


def _recipe_of(job: Job, recipe: Recipe) -> Recipe:
    longer = _LONGER if job.subject == ALL else 1
    return dataclasses.replace(
        recipe,
        seed=job.seed,
        steps=longer * recipe.steps,
        tokenizer_steps=longer * recipe.tokenizer_steps,
    )


def _untrained(job: Job, recipe: Recipe) -> tuple[nn.Module, Plan]:
    """Return the network of a job, its weights to be loaded, and how it plans."""
    if job.method == "carp":
        network = carp.make_policy(recipe, carp.make_tokenizer(recipe), len(job.tasks))
        return network, lambda states, tasks: carp.plan(network, states, tasks)
    regression = make_regression(recipe, len(job.tasks))
    return regression, regression.plan


def _train(trainee: Trainee, loop: LoopConfig, folder: RunFolder, name: str) -> float:
    """Train; return the seconds that it took, all runs together, without validations."""
    train(trainee, loop, folder, Lines(name, "steps").show)
    rows = folder.figures()
    steps = np.diff([0, *(row["step"] for row in rows)])
    return float(sum(n * loop.batch / row["windows_a_s"] for n, row in zip(steps, rows)))


def _count(network: nn.Module) -> int:
    """Return how many weights of a network were trained, without CARP's tokenizer."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def _device_name() -> str:
    device = training_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
