"""Demonstrations as arrays, and what training takes of them: training needs no physics.

F frames of E episodes, S numbers of a state, D of an action.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.files.whole_file import whole_file

TASKS = ("peg-insert-side-v3", "disassemble-v3", "shelf-place-v3", "stick-pull-v3")
STATE, ACTION = 39, 4
"""Numbers of a state (hand, opening and objects now and one step before; goal), and of an action
(how the hand is to move in x, y and z, in [cm]; effort of the gripper)."""

Floats = npt.NDArray[np.float32]
Layouts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Demonstrations:
    """Successful episodes of the scripted experts.

    Attributes:
        states: Of each frame, of shape (F, S).
        actions: What the expert did in each frame, of shape (F, D).
        lengths: Frames of each episode, of shape (E,).
        tasks: Index of each episode's task in `TASKS`, of shape (E,).
        layouts: Where objects and goal began in each episode, of shape (E, 6).
        seeds: What each layout was drawn from: seed and number in its fifty, of shape (E, 2).
        tried: Episodes of each task that the expert began, of shape (len(TASKS),).
    """

    states: Floats
    actions: Floats
    lengths: npt.NDArray[np.int64]
    tasks: npt.NDArray[np.int64]
    layouts: Layouts
    seeds: npt.NDArray[np.int64]
    tried: npt.NDArray[np.int64]

    @property
    def digest(self) -> str:
        """Which demonstrations these are, in twelve characters."""
        parts = (self.states, self.actions, self.lengths, self.tasks)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:12]


@dataclass(frozen=True)
class Windows:
    """W moments of some tasks' demonstrations, each with the H actions from it on.

    Attributes:
        states: Of shape (W, S).
        actions: Of shape (W, H, D).
        tasks: Index of each one's task among those asked for, of shape (W,).
        task_names: By index.
    """

    states: Floats
    actions: Floats
    tasks: npt.NDArray[np.int64]
    task_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tasks)


def windows_of(data: Demonstrations, task_names: tuple[str, ...], horizon: int) -> Windows:
    """Return all windows that lie whole in an episode of some tasks.

    Args:
        data: The demonstrations.
        task_names: Of the tasks.
        horizon: Actions of a window, H.

    Raises:
        ValueError: If a task has no demonstration.
    """
    ends = np.cumsum(data.lengths)
    begins, tasks = [], []
    for index, name in enumerate(task_names):
        episodes = np.flatnonzero(data.tasks == TASKS.index(name))
        if not len(episodes):
            raise ValueError(f"no demonstration of {name}; demonstrate it first")
        first = [np.arange(ends[e] - data.lengths[e], ends[e] - horizon + 1) for e in episodes]
        begins.append(np.concatenate(first))
        tasks.append(np.full(len(begins[-1]), index, np.int64))
    frames = np.concatenate(begins)
    chunks = data.actions[frames[:, None] + np.arange(horizon)]
    return Windows(data.states[frames], chunks, np.concatenate(tasks), task_names)


def equal_layouts(a: Layouts, b: Layouts) -> int:
    """Return how many layouts of `a` are among `b`, both of shape (·, 6)."""
    return int((a[:, None] == b[None]).all(-1).any(-1).sum())


def write_demonstrations(path: Path, data: Demonstrations) -> None:
    """Write one compressed .npz, whole or not at all."""
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **vars(data))


def read_demonstrations(path: Path) -> Demonstrations:
    """Return what `write_demonstrations` wrote.

    Raises:
        ValueError: If there is none.
    """
    if not path.is_file():
        raise ValueError(f"no {path}; make it with `python -m bench.metaworld demonstrate`")
    with np.load(path) as archive:
        return Demonstrations(**{name: archive[name] for name in archive.files})
