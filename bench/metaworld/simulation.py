"""Meta-World behind what the benchmark needs of it: the only module that imports it."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass

import metaworld
import numpy as np
import numpy.typing as npt
from metaworld.policies import ENV_POLICY_MAP

from bench.metaworld.demonstrations import Floats

MOST_STEPS = 500
"""Of an episode; Meta-World's own."""
LAYOUTS_A_SEED = 50
"""Meta-World draws so many from one seed."""

# experts ask for more than the arm may do, and are clipped; Meta-World remarks on each such step
warnings.filterwarnings("ignore", "Constant.s. may be too high", UserWarning)


@dataclass(frozen=True)
class Layout:
    """Where objects and goal are when an episode begins.

    Attributes:
        seed: Drawn from this, with `number` others before it.
        number: Among those of its seed.
        vector: The positions, of shape (6,), float64 [m].
        task: Meta-World's own form of it.
    """

    seed: int
    number: int
    vector: npt.NDArray[np.float64]
    task: metaworld.Task


def draw_layouts(task: str, seed: int) -> list[Layout]:
    """Return the fifty layouts of a task that Meta-World draws from a seed (its benchmark MT1)."""
    drawn = metaworld.MT1(task, seed=seed).train_tasks
    return [
        Layout(seed, number, np.asarray(pickle.loads(one.data)["rand_vec"], np.float64), one)
        for number, one in enumerate(drawn)
    ]


class World:
    """One task's physics. The goal is part of the state, as in Meta-World's multi-task benchmarks.

    Args:
        task: Its name.
    """

    def __init__(self, task: str) -> None:
        self._env = metaworld.ALL_V3_ENVIRONMENTS[task]()
        self._expert = ENV_POLICY_MAP[task]()
        self._seen = np.zeros(0)

    def reset(self, layout: Layout) -> Floats:
        """Begin an episode; return the state."""
        self._env.set_task(layout.task)
        self._seen, _ = self._env.reset()
        return self._seen.astype(np.float32)

    def expert_action(self) -> Floats:
        """Return what the scripted expert does in the present state, clipped to -1 to 1."""
        return np.clip(self._expert.get_action(self._seen), -1.0, 1.0).astype(np.float32)

    def step(self, action: Floats) -> tuple[Floats, bool]:
        """Take one step; return the state, and whether the task is done in it."""
        self._seen, _, _, _, info = self._env.step(np.clip(action, -1.0, 1.0))
        return self._seen.astype(np.float32), bool(info["success"])
