"""The scripted experts at work: successful episodes, each of another layout."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from bench.metaworld.demonstrations import TASKS, Demonstrations, Floats, write_demonstrations
from bench.metaworld.simulation import MOST_STEPS, Layout, World, draw_layouts


def demonstrate(path: Path, wanted: int, horizon: int) -> None:
    """Write so many successful demonstrations of every task.

    Args:
        path: Of the .npz.
        wanted: Of each task.
        horizon: Every frame up to success begins a window: episodes go on so much longer.
    """
    states, actions, tasks, kept, tried = [], [], [], [], []
    for index, task in enumerate(TASKS):
        world, done = World(task), 0
        layouts = (layout for seed in count() for layout in draw_layouts(task, seed))
        for begun, layout in enumerate(layouts):
            episode = _demonstration(world, layout, horizon)
            if episode is not None:
                states.append(episode[0])
                actions.append(episode[1])
                tasks.append(index)
                kept.append(layout)
                done += 1
            if done == wanted:
                tried.append(begun + 1)
                break
        steps = np.mean([len(part) for part in actions[-wanted:]])
        print(f"{task}: {done} of {tried[-1]} episodes succeeded, {steps:.0f} steps", flush=True)
    data = Demonstrations(
        np.concatenate(states),
        np.concatenate(actions),
        np.array([len(part) for part in actions]),
        np.array(tasks),
        np.stack([layout.vector for layout in kept]),
        np.array([(layout.seed, layout.number) for layout in kept]),
        np.array(tried),
    )
    write_demonstrations(path, data)
    print(f"{path}: {len(data.states)} frames, {path.stat().st_size / 1e6:.1f} MB, {data.digest}")


def _demonstration(world: World, layout: Layout, horizon: int) -> tuple[Floats, Floats] | None:
    """Return states and actions up to `horizon` steps after success; None if there was none."""
    state, states, actions = world.reset(layout), [], []
    last = MOST_STEPS
    while len(actions) < last:
        states.append(state)
        actions.append(world.expert_action())
        state, success = world.step(actions[-1])
        if success:
            last = min(last, len(actions) + horizon - 1, MOST_STEPS)
    return (np.stack(states), np.stack(actions)) if last < MOST_STEPS else None
