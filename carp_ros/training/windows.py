"""The training examples of a dataset: one window per frame, with the actions from there on.

As in the paper (section 4), the first action is that of the frame itself; beyond the end of an
episode, its last action is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import TOOL, Layout

if TYPE_CHECKING:  # avoids importing video codecs
    from carp_ros.recording.demonstrations import Demonstrations

Indices = npt.NDArray[np.int64]
"""Indices of windows."""


@dataclass(frozen=True)
class Windows:
    """F frames of all episodes, each the beginning of a window.

    Attributes:
        states: Measured at each frame, of shape (F, S).
        actions: Commanded from each frame on, of shape (F, H, A).
        tasks: Task index of each frame, of shape (F,).
        episodes: Episode index of each frame, of shape (F,).
        task_names: By index.
        source: Name of the dataset in errors.
        state, action: Meaning of the numbers.
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


def read_windows(data: Demonstrations, horizon: int, *, by_instruction: bool = False) -> Windows:
    """Cut a dataset into windows.

    Args:
        data: The dataset.
        horizon: Steps in a window, H.
        by_instruction: Whether there is a task for each instruction, not for each short name.

    Raises:
        ValueError: If an action is not finite.
    """
    numbers = data.numbers.by_instruction() if by_instruction else data.numbers
    actions, episodes = numbers.actions, numbers.episodes
    if not np.isfinite(actions).all():
        frame = int(np.argwhere(~np.isfinite(actions))[0, 0])
        raise ValueError(
            f"{data.root}: the action of frame {frame} (episode {episodes[frame]}) is"
            f" {actions[frame].tolist()}; expected finite numbers: record or convert it again"
        )
    ends = episode_ends(episodes)
    steps = np.minimum(np.arange(len(episodes))[:, None] + np.arange(horizon), ends[:, None])
    return Windows(
        numbers.states,
        actions[steps],
        numbers.tasks,
        episodes,
        numbers.task_names,
        str(data.root),
        data.state,
        data.action,
    )


def episode_ends(episodes: Indices) -> Indices:
    """Return the last frame of each frame's episode, of shape (F,)."""
    last = np.append(np.flatnonzero(np.diff(episodes)), len(episodes) - 1)
    return last[np.searchsorted(last, np.arange(len(episodes)))]


def readable(windows: Windows, unreadable: Collection[int]) -> Windows:
    """Restrict the tasks to those of readable episodes.

    Windows are neither removed nor reordered, as they must match the images; `split_episodes`
    excludes unreadable episodes.
    """
    is_read = ~np.isin(windows.episodes, list(unreadable))
    kept = np.unique(windows.tasks[is_read])
    names = tuple(windows.task_names[task] for task in kept)
    tasks = np.where(is_read, np.searchsorted(kept, windows.tasks), 0)
    return replace(windows, tasks=tasks, task_names=names)


def split_episodes(
    windows: Windows, held_out: float, most: int, seed: int, left_out: Collection[int] = ()
) -> tuple[Indices, Indices]:
    """Split windows into those to train on and those to validate on, by whole episodes.

    Args:
        windows: Of the dataset.
        held_out: Share of the episodes to validate on; at least one. A task's only episode is never
            held out.
        most: Train on at most this many episodes of each task; 0 for all.
        seed: Of the choice.
        left_out: Episodes to use for neither.

    Raises:
        ValueError: If there is only one episode, or only one of each task.
    """
    shuffled = np.random.default_rng(seed).permutation(np.unique(windows.episodes))
    shuffled = shuffled[~np.isin(shuffled, list(left_out))]
    tasks_of: dict[int, set[int]] = {episode: set() for episode in shuffled.tolist()}
    for episode, task in np.unique(np.stack([windows.episodes, windows.tasks], 1), axis=0).tolist():
        if episode in tasks_of:
            tasks_of[episode].add(task)
    left = Counter(task for tasks in tasks_of.values() for task in tasks)
    count = max(1, round(held_out * len(shuffled)))
    validated: list[int] = []
    for episode, tasks in tasks_of.items():
        if len(validated) < count and all(left[task] > 1 for task in tasks):
            validated.append(episode)
            left.subtract(tasks)
    if not validated:
        raise ValueError(
            f"{windows.source} has {len(shuffled)} episodes, each the only one of a task; expected"
            " a second one of some task, as one is held out to validate on: record more"
        )
    trained = shuffled[~np.isin(shuffled, validated)]
    if most:
        first_of = {episode: min(tasks) for episode, tasks in tasks_of.items()}
        of_tasks = [trained[[first_of[e] == task for e in trained]] for task in set(left)]
        trained = np.concatenate([episodes[:most] for episodes in of_tasks])
    return (
        np.flatnonzero(np.isin(windows.episodes, trained)),
        np.flatnonzero(np.isin(windows.episodes, validated)),
    )
