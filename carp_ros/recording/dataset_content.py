"""Everything in a dataset that follows from its episodes' rows, for writing and for checking.

Separate from the writing code, so that readers need no video or bag library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.recording.dataset_files import (
    DATA_PATH,
    FILES_A_CHUNK,
    VIDEO_PATH,
    Row,
    number_of,
    place,
    video_path,
)
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.statistics import Statistics, merged_statistics

TASKS = "meta/tasks.parquet"
STATISTICS = "meta/stats.json"
DIGESTS = "meta/videos_sha256.json"
"""SHA-256 of each video, by its path in the dataset: the only way to notice that a video was
swapped with another camera's or encoded again. Older datasets lack this file."""


def place_of(
    spec: DatasetSpec, episode: int, length: int, first: int, frames_before: int, number: int
) -> Row:
    """Return the part of an episode's row that locates it.

    Args:
        spec: The dataset's spec.
        episode: The episode's number.
        length: Its length in frames.
        first: Index of its first frame in the dataset.
        frames_before: Frames before it in its files.
        number: Number of the files that hold it.
    """
    videos: Row = {}
    for camera in spec.cameras:
        key = f"videos/{video_key(camera)}"
        videos |= {f"{key}/{name}": index for name, index in place(number).items()}
        videos[f"{key}/from_timestamp"] = frames_before / spec.rate_hz
        videos[f"{key}/to_timestamp"] = (frames_before + length) / spec.rate_hz
    return {
        "episode_index": episode,
        "length": length,
        "dataset_from_index": first,
        "dataset_to_index": first + length,
        **{f"data/{name}": index for name, index in place(number).items()},
        **{f"meta/episodes/{name}": index for name, index in place(number).items()},
        **videos,
    }


def tasks_of(episodes: Sequence[Row]) -> list[str]:
    """Return the tasks by number, which is their order of first appearance."""
    return list(dict.fromkeys(row["tasks"][0] for row in episodes))


def statistics_of(episodes: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the content of stats.json."""
    merged = merged_statistics([row_statistics(row) for row in episodes])
    return {
        feature: {name: value.tolist() for name, value in statistics.items()}
        for feature, statistics in merged.items()
    }


def digests_of(root: Path, spec: DatasetSpec, episodes: Sequence[Row]) -> dict[str, str | None]:
    """Return the content of `DIGESTS`; None for a video that is missing."""
    paths = [
        video_path(camera, number)
        for number in sorted(set(map(number_of, episodes)))
        for camera in spec.cameras
    ]
    return {path: _digest(root / path) for path in paths}


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def info_of(
    spec: DatasetSpec, episodes: Sequence[Row], videos: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the content of info.json; `videos` holds each camera's video info."""
    return {
        "codebase_version": "v3.0",
        "robot_type": spec.robot,
        "total_episodes": len(episodes),
        "total_frames": sum(row["length"] for row in episodes),
        "total_tasks": len(tasks_of(episodes)),
        "chunks_size": FILES_A_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": spec.rate_hz,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": {**_video_features(spec, videos), **spec.columns},
    }


def _video_features(
    spec: DatasetSpec, videos: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {
        video_key(camera): {
            "dtype": "video",
            "shape": [height_px, width_px, 3],
            "names": ["height", "width", "channels"],
            "info": videos[camera],
        }
        for camera, (width_px, height_px) in spec.cameras.items()
    }


def row_statistics(row: Row) -> dict[str, Statistics]:
    """Return an episode's statistics from its row, by feature."""
    found: dict[str, Statistics] = {}
    for key, value in row.items():
        if key.startswith("stats/"):
            _, feature, name = key.split("/")
            found.setdefault(feature, {})[name] = np.array(value)
    return found
