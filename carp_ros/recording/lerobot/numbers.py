"""Reads the frames' numbers from a LeRobot dataset's tables and checks each episode separately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import LINE
from carp_ros.recording.lerobot.episodes import Episode
from carp_ros.recording.lerobot.features import Features
from carp_ros.recording.tables import Columns, read_columns
from carp_ros.refusal import in_words, shortened

_OFF_GRID = 0.5  # of a period: how far a frame's time may be off the regular grid
_LARGEST = 1e6

Numbers = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""An episode's states (T, S), actions (T, A) and task numbers (T,)."""


def read_numbers(
    episodes: Sequence[Episode], features: Features, fps: float, tasks: Mapping[int, str]
) -> tuple[dict[int, Numbers], list[str]]:
    """Return the numbers of each usable episode, and why the others can't be used.

    Args:
        episodes: The episodes, in order.
        features: The columns to read.
        fps: Frames per second.
        tasks: Instructions by number.
    """
    found: dict[int, Numbers] = {}
    refused: list[str] = []
    wanted = (*features.state_columns, features.action_column)
    places = ("episode_index", "frame_index", "timestamp", "task_index")
    for path, ours in _by_table(episodes).items():
        try:
            columns = read_columns(path, tuple(dict.fromkeys((*wanted, *places))))
        except Exception as error:  # a bad file costs only the episodes in it
            refused += [f"episode {episode.index}: {in_words(error)}" for episode in ours]
            continue
        for episode in ours:
            try:
                rows = _rows(columns, episode)
                _require_frames(rows, episode, fps)
                _require_tasks(rows["task_index"][:, 0], tasks)
                state = [_numbers(rows, name) for name in features.state_columns]
                found[episode.index] = (
                    np.concatenate(state, axis=1),
                    _numbers(rows, features.action_column),
                    rows["task_index"][:, 0].astype(np.int64),
                )
            except Exception as error:  # a bad episode costs no other one
                refused.append(f"episode {episode.index}: {in_words(error)}")
    return found, refused


def _by_table(episodes: Iterable[Episode]) -> dict[Path, list[Episode]]:
    tables: dict[Path, list[Episode]] = {}
    for episode in episodes:
        tables.setdefault(episode.table, []).append(episode)
    return tables


def _rows(columns: Columns, episode: Episode) -> Columns:
    """Return an episode's rows, in the order of its frames."""
    places = np.flatnonzero(columns["episode_index"][:, 0] == episode.index)
    if len(places) != episode.length or episode.length < 1:
        raise ValueError(
            f"{episode.table.name} has {len(places)} frames of it; expected {episode.length}, as"
            " its row says, and at least 1: was the file cut off?"
        )
    return {name: column[places] for name, column in columns.items()}


def _require_frames(rows: Columns, episode: Episode, fps: float) -> None:
    """Reject frames that are not evenly spaced by the period."""
    number = rows["frame_index"][:, 0]
    if (number != np.arange(episode.length)).any():
        raise ValueError(f"frame_index is {_begin(number)}; expected 0 to {episode.length - 1}")
    seconds = rows["timestamp"][:, 0].astype(np.float64)
    off = np.abs(seconds - seconds[0] - number / fps)
    if not np.all(off <= _OFF_GRID / fps):
        frame = int(np.argmax(~(off <= _OFF_GRID / fps)))
        raise ValueError(
            f"timestamp of frame {frame} is {seconds[frame]} s; expected"
            f" {seconds[0] + frame / fps:.3f} s, at {fps:g} frames a second: resample it"
        )


def _require_tasks(numbers: npt.NDArray[Any], tasks: Mapping[int, str]) -> None:
    unknown = sorted(set(numbers.tolist()) - tasks.keys())
    if unknown:
        known = ", ".join(map(str, tasks)) or "none"
        raise ValueError(shortened(f"task_index is {unknown[0]}; expected one of {known}"))
    for number in set(numbers.tolist()):
        if tasks[number] and (expected := LINE.expectation(tasks[number])):
            raise ValueError(
                f"its instruction is {shortened(repr(tasks[number]), 60)}; expected {expected}"
            )


def _numbers(rows: Columns, name: str) -> npt.NDArray[np.float32]:
    column = rows[name].astype(np.float64)
    good = np.abs(column) <= _LARGEST  # also false for NaN
    if not good.all():
        frame, number = np.argwhere(~good)[0]
        raise ValueError(
            f"{name}[{number}] of frame {frame} is {column[frame, number]}; expected finite numbers"
            f" up to {_LARGEST:g}"
        )
    return column.astype(np.float32)


def _begin(numbers: npt.NDArray[Any]) -> str:
    return f"{numbers[:4].tolist()} ..." if len(numbers) > 4 else str(numbers.tolist())
