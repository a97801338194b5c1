"""Trained networks in Meta-World, over layouts that no demonstration had."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.metaworld.demonstrations import TASKS, Demonstrations, equal_layouts, read_demonstrations
from bench.metaworld.jobs import EVALUATED, Job, Lines
from bench.metaworld.planner import BUNDLE, Planner
from bench.metaworld.simulation import LAYOUTS_A_SEED, MOST_STEPS, Layout, World, draw_layouts
from carp_ros.evaluation.report import machine, write_report
from carp_ros.inference.bundle import MANIFEST

_FIRST_SEED, _SEEDS_APART = 1000, 10


def evaluate_job(job: Job, out: Path, demonstrations: Path, count: int) -> None:
    """Try a job's network on so many layouts of each of its tasks; what is done is not repeated.

    Raises:
        ValueError: If the network is not trained, or was trained on other demonstrations.
    """
    planner = Planner(job, out)
    data = read_demonstrations(demonstrations)
    if data.digest != planner.facts["demonstrations"]:
        raise ValueError(
            f"{job.name} was trained on demonstrations {planner.facts['demonstrations']};"
            f" {demonstrations}"
            f" holds {data.digest}: layouts could not be kept apart"
        )
    path = job.folder(out) / EVALUATED
    content = _begun(path, job, out, count)
    for task in job.tasks:
        if task in content["tasks"]:
            print(f"{job.name}: is evaluated on {task}", flush=True)
            continue
        layouts = layouts_for(task, job.seed, count, data)
        content["tasks"][task] = _trials(planner, task, layouts, f"{job.name}, {task}")
        write_report(path, content)


def layouts_for(task: str, seed: int, count: int, data: Demonstrations) -> list[Layout]:
    """Return the layouts to try a network of a seed on; both methods are given the same.

    Raises:
        ValueError: If a demonstration had one of them.
    """
    first = _FIRST_SEED + _SEEDS_APART * seed
    seeds = range(first, first + -(-count // LAYOUTS_A_SEED))
    layouts = [layout for seed in seeds for layout in draw_layouts(task, seed)][:count]
    shown = data.layouts[data.tasks == TASKS.index(task)]
    same = equal_layouts(np.stack([layout.vector for layout in layouts]), shown)
    if same:
        raise ValueError(f"{same} of {count} layouts of {task} were demonstrated; expected none")
    return layouts


def _begun(path: Path, job: Job, out: Path, count: int) -> dict[str, Any]:
    """Return what was evaluated of these very weights, or an empty record."""
    manifest = (job.folder(out) / BUNDLE / MANIFEST).read_bytes()  # has a digest of the weights
    content = {
        "weights": hashlib.sha256(manifest).hexdigest()[:12],
        "layouts": count,
        "versions": {
            name: version(name) for name in ("metaworld", "mujoco", "gymnasium", "onnxruntime")
        },
        "machine": machine(),
    }
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if all(earlier.get(key) == content[key] for key in ("weights", "layouts")):
        return earlier
    return content | {"tasks": {}}


def _trials(planner: Planner, task: str, layouts: list[Layout], name: str) -> dict[str, Any]:
    planner.begin(task)
    world, lines = World(task), Lines(name, "layouts")
    successes: list[bool] = []
    steps: list[int] = []
    for number, layout in enumerate(layouts):
        steps.append(_steps_to_success(world, planner, layout))
        successes.append(steps[-1] > 0)
        lines.show(number + 1, len(layouts), {"succeeded": sum(successes)})
    seeds = sorted({layout.seed for layout in layouts})
    return {"layout_seeds": seeds, "successes": successes, "steps": steps}


def _steps_to_success(world: World, planner: Planner, layout: Layout) -> int:
    """Return after how many steps the task was done, 0 if it was not within Meta-World's 500."""
    state = world.reset(layout)
    step = 0
    while True:
        for action in planner(state)[: planner.executed]:
            state, success = world.step(action)
            step += 1
            if success:
                return step
            if step == MOST_STEPS:
                return 0
