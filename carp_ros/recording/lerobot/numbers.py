"""Reads the frames' numbers from a LeRobot dataset's tables and checks each episode separately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import LINE
from carp_ros.recording.lerobot.episodes import Episode
from carp_ros.recording.lerobot.features import Features, ImageFeature
from carp_ros.recording.tables import Columns, read_columns
from carp_ros.refusal import in_words, shortened

_PLACES = ("episode_index", "frame_index", "timestamp", "task_index")
_NO_ROWS = np.zeros(0, np.int64)
_OFF_GRID = 0.5  # of a period: how far a frame's time may be off the regular grid
_LARGEST = 1e6


@dataclass(frozen=True)
class Numbers:
    """The numbers of an episode with T frames.

    Attributes:
        states: Of shape (T, S).
        actions: Of shape (T, A).
        tasks: Task numbers, of shape (T,).
        rows: The rows of the table that they stand in, of shape (T,).
        first_s: Time of the first frame in [s], from the beginning of the episode's videos.
    """

    states: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    tasks: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    first_s: float


def read_numbers(
    episodes: Sequence[Episode],
    features: Features,
    cameras: Iterable[ImageFeature],
    fps: float,
    tasks: Mapping[int, str],
) -> tuple[dict[int, Numbers], list[str]]:
    """Return the numbers of each usable episode, and why the others can't be used.

    Args:
        episodes: The episodes, in order.
        features: The columns to read.
        cameras: Cameras whose images are needed; the tables must have those stored in them.
        fps: Frames per second.
        tasks: Instructions by number.
    """
    found: dict[int, Numbers] = {}
    refused: list[str] = []
    wanted = (*features.state_columns, features.action_column)
    images = [camera.feature for camera in cameras if camera.stored == "image"]
    for path, ours in _by_table(episodes).items():
        try:
            columns = read_columns(path, tuple(dict.fromkeys((*wanted, *_PLACES))), images)
            for name in wanted:
                _require_width(name, columns[name], features.counts[name])
        except Exception as error:  # a bad file costs only the episodes in it
            refused += [f"episode {episode.index}: {in_words(error)}" for episode in ours]
            continue
        rows_of = _rows_by_episode(columns["episode_index"][:, 0])
        for episode in ours:
            try:
                rows = rows_of.get(episode.index, _NO_ROWS)
                of_it = _rows(columns, rows, episode)
                first_s = _require_frames(of_it, episode, fps)
                task_numbers = of_it["task_index"][:, 0]
                _require_tasks(task_numbers, tasks)
                state = [_numbers(of_it, name) for name in features.state_columns]
                found[episode.index] = Numbers(
                    np.concatenate(state, axis=1),
                    _numbers(of_it, features.action_column),
                    task_numbers.astype(np.int64),
                    rows,
                    first_s,
                )
            except Exception as error:  # a bad episode costs no other one
                refused.append(f"episode {episode.index}: {in_words(error)}")
    return found, refused


def _by_table(episodes: Iterable[Episode]) -> dict[Path, list[Episode]]:
    tables: dict[Path, list[Episode]] = {}
    for episode in episodes:
        tables.setdefault(episode.table, []).append(episode)
    return tables


def _rows_by_episode(index: npt.NDArray[Any]) -> dict[float, npt.NDArray[np.int64]]:
    """Return the places of each episode's rows, in their order."""
    order = np.argsort(index, kind="stable")
    begins = np.flatnonzero(np.diff(index[order])) + 1
    parts = np.split(order, begins) if len(order) else []
    return {index[part[0]].item(): part for part in parts}


def _require_width(name: str, column: npt.NDArray[Any], declared: int) -> None:
    if column.shape[1] != declared:
        raise ValueError(
            f"{name} has {column.shape[1]} numbers in each row; expected {declared}, as info.json"
            " says: correct its shape there"
        )


def _rows(columns: Columns, rows: npt.NDArray[np.int64], episode: Episode) -> Columns:
    """Return an episode's rows, in the order of its frames."""
    if len(rows) != episode.length or episode.length < 1:
        raise ValueError(
            f"{episode.table.name} has {len(rows)} frames of it; expected {episode.length}, as"
            " its row says, and at least 1: was the file cut off?"
        )
    return {name: column[rows] for name, column in columns.items()}


def _require_frames(rows: Columns, episode: Episode, fps: float) -> float:
    """Return the time of the first frame; reject frames that are not spaced by the period."""
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
    return float(seconds[0])


def _require_tasks(numbers: npt.NDArray[Any], tasks: Mapping[int, str]) -> None:
    unknown = sorted(set(numbers.tolist()) - tasks.keys())
    if unknown:
        known = ", ".join(map(str, tasks)) or "none"
        raise ValueError(shortened(f"task_index is {unknown[0]}; expected one of {known}"))
    for number in set(numbers.tolist()):
        if expected := LINE.expectation(tasks[number]):
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
