"""The training examples of a dataset: one a frame, with the actions that follow it.

As the paper has it (section 4): the first action is that of the frame itself, and beyond an
episode's end its last action goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import TOOL, Layout

if TYPE_CHECKING:  # a loop over arrays needs no codecs
    from carp_ros.recording.dataset_reader import DatasetReader

Indices = npt.NDArray[np.int64]
"""Of windows."""


@dataclass(frozen=True)
class Windows:
    """F frames of all episodes, each the beginning of a window.

    Attributes:
        states: What was measured at each frame, of shape (F, S).
        actions: What was commanded from each frame on, of shape (F, H, A).
        tasks: Index of each frame's task, of shape (F,).
        episodes: Index of each frame's episode, of shape (F,).
        task_names: By index.
        source: Names the dataset in what is refused.
        state, action: What the numbers mean.
    """

    states: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    tasks: Indices
    episodes: Indices
    task_names: tuple[str, ...]
    source: str = "the dataset"
    state: Layout = TOOL
    action: Layout = TOOL

    def __len__(self) -> int:
        return len(self.tasks)


def read_windows(reader: DatasetReader, horizon: int) -> Windows:
    """Return the windows of a dataset.

    Args:
        reader: The dataset.
        horizon: Steps in a window, H.

    Raises:
        ValueError: If an action is not finite.
    """
    actions = reader.columns["action"].astype(np.float32)
    if not np.isfinite(actions).all():
        frame = int(np.argwhere(~np.isfinite(actions))[0, 0])
        episode = int(reader.columns["episode_index"][frame, 0])
        raise ValueError(
            f"{reader.root}: the action of frame {frame} (episode {episode}) is"
            f" {actions[frame].tolist()}; expected finite numbers: record or convert it anew"
        )
    names = tuple(dict.fromkeys(row["task"] for row in reader.episodes))
    length = len(actions)
    ends = np.empty(length, np.int64)
    tasks = np.empty(length, np.int64)
    for row in reader.episodes:
        frames = slice(row["dataset_from_index"], row["dataset_to_index"])
        ends[frames] = row["dataset_to_index"] - 1
        tasks[frames] = names.index(row["task"])
    steps = np.minimum(np.arange(length)[:, None] + np.arange(horizon), ends[:, None])
    return Windows(
        reader.columns["observation.state"].astype(np.float32),
        actions[steps],
        tasks,
        reader.columns["episode_index"][:, 0].astype(np.int64),
        names,
        str(reader.root),
        reader.spec.state,
        reader.spec.action,
    )


def split_episodes(
    windows: Windows, held_out: float, most: int, seed: int
) -> tuple[Indices, Indices]:
    """Return the windows to train on and those to validate on, by whole episodes.

    Args:
        windows: Of the dataset.
        held_out: Share of the episodes to validate on; at least one.
        most: Of each task, train on this many episodes at most; 0 for all.
        seed: Of the choice.

    Raises:
        ValueError: If nothing is left to train on, of the dataset or of one of its tasks.
    """
    shuffled = np.random.default_rng(seed).permutation(np.unique(windows.episodes))
    if len(shuffled) < 2:
        raise ValueError(
            f"{windows.source} has {len(shuffled)} episode; expected at least 2, as one is held out"
            " to validate on: record more"
        )
    count = max(1, round(held_out * len(shuffled)))
    validated, trained = shuffled[:count], shuffled[count:]
    left_out = sorted(set(windows.tasks) - set(windows.tasks[np.isin(windows.episodes, trained)]))
    if left_out:
        raise ValueError(
            f"{windows.source}: of {', '.join(windows.task_names[task] for task in left_out)} there"
            f" is no episode left to train on, as {count} are held out to validate on: record more"
            " of it"
        )
    if most:
        task_of = dict(zip(windows.episodes, windows.tasks))
        of_tasks = [trained[[task_of[e] == task for e in trained]] for task in set(windows.tasks)]
        trained = np.concatenate([episodes[:most] for episodes in of_tasks])
    return (
        np.flatnonzero(np.isin(windows.episodes, trained)),
        np.flatnonzero(np.isin(windows.episodes, validated)),
    )
