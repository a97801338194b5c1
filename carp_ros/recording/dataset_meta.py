"""Writes a dataset's metadata: LeRobot's meta/ folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from carp_ros.files.whole_file import whole_file
from carp_ros.recording.dataset_content import (
    DIGESTS,
    STATISTICS,
    TASKS,
    digests_of,
    info_of,
    place_of,
    statistics_of,
    tasks_of,
)
from carp_ros.recording.dataset_files import EPISODES_PATH, INFO, Row, place, video_path
from carp_ros.recording.dataset_spec import DatasetSpec
from carp_ros.recording.pieces import Piece
from carp_ros.recording.statistics import column_statistics
from carp_ros.recording.tables import Columns, write_rows, write_tasks
from carp_ros.recording.video import video_info

_NULLABLE = {"seed": pa.int64(), "success": pa.bool_()}


def write_episodes(root: Path, number: int, rows: Sequence[Row]) -> None:
    """Write the rows of the episodes that share one file number."""
    write_rows(root / EPISODES_PATH.format(**place(number)), rows, _NULLABLE)


def episode_row(piece: Piece, columns: Columns, frames_before: int, number: int) -> Row:
    """Return an episode's row.

    Args:
        piece: The episode.
        columns: Its columns, with those that number it within the dataset.
        frames_before: Frames before it in its files.
        number: Number of the files that hold it.
    """
    episode, first = int(columns["episode_index"][0, 0]), int(columns["index"][0, 0])
    numbers = {name: column_statistics(column) for name, column in columns.items()}
    return {
        "episode_index": episode,
        "tasks": [piece.instruction],
        **place_of(piece.spec, episode, piece.length, first, frames_before, number),
        **piece.facts,
        **{
            f"stats/{feature}/{name}": value.tolist()
            for feature, statistics in {**numbers, **piece.images}.items()
            for name, value in statistics.items()
        },
    }


def write_meta(root: Path, spec: DatasetSpec, episodes: Sequence[Row]) -> None:
    """Write the files about all episodes; info.json, from which readers start, last."""
    write_tasks(root / TASKS, tasks_of(episodes))
    _write_json(root / STATISTICS, statistics_of(episodes))
    _write_json(root / DIGESTS, digests_of(root, spec, episodes))
    videos = {camera: video_info(root / video_path(camera, 0)) for camera in spec.cameras}
    _write_json(root / INFO, info_of(spec, episodes, videos))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
