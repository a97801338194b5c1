"""Demonstrations as arrays: training needs no physics.

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
