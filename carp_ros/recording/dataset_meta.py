"""What a dataset says of itself, as it is written: LeRobot's meta/ folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from carp_ros.recording.dataset_files import (
    DATA_PATH,
    EPISODES_PATH,
    FILES_A_CHUNK,
    INFO,
    VIDEO_PATH,
    Row,
    place,
    video_path,
)
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.pieces import Piece
from carp_ros.recording.statistics import Statistics, column_statistics, merged_statistics
from carp_ros.recording.tables import Columns, write_rows, write_tasks
from carp_ros.recording.video import video_info
from carp_ros.whole_file import whole_file

_TASKS = "meta/tasks.parquet"
_STATISTICS = "meta/stats.json"

_NULLABLE = {"seed": pa.int64(), "success": pa.bool_()}


def write_episodes(root: Path, number: int, rows: Sequence[Row]) -> None:
    """Write the rows of the episodes in the files of a number."""
    write_rows(root / EPISODES_PATH.format(**place(number)), rows, _NULLABLE)


def episode_row(piece: Piece, columns: Columns, frames_before: int, number: int) -> Row:
    """Return an episode's row.

    Args:
        piece: The episode.
        columns: Its numbers, with its place in the dataset.
        frames_before: In the files that it is in.
        number: Of these files.
    """
    videos: Row = {}
    for camera in piece.spec.cameras:
        key = f"videos/{video_key(camera)}"
        videos |= {f"{key}/{name}": index for name, index in place(number).items()}
        videos[f"{key}/from_timestamp"] = frames_before / piece.spec.rate_hz
        videos[f"{key}/to_timestamp"] = (frames_before + piece.length) / piece.spec.rate_hz
    first = int(columns["index"][0, 0])
    numbers = {name: column_statistics(column) for name, column in columns.items()}
    return {
        "episode_index": int(columns["episode_index"][0, 0]),
        "tasks": [piece.instruction],
        "length": piece.length,
        "dataset_from_index": first,
        "dataset_to_index": first + piece.length,
        **{f"data/{name}": index for name, index in place(number).items()},
        **{f"meta/episodes/{name}": index for name, index in place(number).items()},
        **videos,
        **piece.facts,
        **{
            f"stats/{feature}/{name}": value.tolist()
            for feature, statistics in {**numbers, **piece.images}.items()
            for name, value in statistics.items()
        },
    }


def tasks_of(episodes: Sequence[Row]) -> list[str]:
    """Return the tasks in the order of their numbers: of first appearance."""
    return list(dict.fromkeys(row["tasks"][0] for row in episodes))


def write_meta(root: Path, spec: DatasetSpec, episodes: Sequence[Row]) -> None:
    """Write what is said of all episodes; info.json, at which readers begin, last."""
    tasks = tasks_of(episodes)
    write_tasks(root / _TASKS, tasks)
    merged = merged_statistics([_statistics(row) for row in episodes])
    _write_json(
        root / _STATISTICS,
        {
            feature: {name: value.tolist() for name, value in statistics.items()}
            for feature, statistics in merged.items()
        },
    )
    content = {
        "codebase_version": "v3.0",
        "robot_type": spec.robot,
        "total_episodes": len(episodes),
        "total_frames": sum(row["length"] for row in episodes),
        "total_tasks": len(tasks),
        "chunks_size": FILES_A_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": spec.rate_hz,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": {**_video_features(root, spec), **spec.columns},
    }
    _write_json(root / INFO, content)


def _video_features(root: Path, spec: DatasetSpec) -> dict[str, dict[str, Any]]:
    return {
        video_key(camera): {
            "dtype": "video",
            "shape": [height_px, width_px, 3],
            "names": ["height", "width", "channels"],
            "info": video_info(root / video_path(camera, 0)),
        }
        for camera, (width_px, height_px) in spec.cameras.items()
    }


def _statistics(row: Row) -> dict[str, Statistics]:
    """Return an episode's statistics from its row, by feature."""
    found: dict[str, Statistics] = {}
    for key, value in row.items():
        if key.startswith("stats/"):
            _, feature, name = key.split("/")
            found.setdefault(feature, {})[name] = np.array(value)
    return found


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=4) + "\n")
