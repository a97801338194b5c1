"""Locates the episodes of a LeRobot dataset: one file each in v2.1, several per file in v3.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carp_ros.recording.lerobot.info import LeRobotInfo, inside
from carp_ros.recording.lerobot.rows import json_rows, whole
from carp_ros.recording.tables import iterate_rows
from carp_ros.recording.video_segment import Segment
from carp_ros.refusal import in_words, shortened

_EPISODES_V2 = "meta/episodes.jsonl"

_BEGIN = "from_timestamp"


@dataclass(frozen=True)
class Episode:
    """An episode's location.

    Attributes:
        index: The episode's number.
        length: Its length in frames, as declared by the dataset.
        table: The file with its numbers.
        videos: Its segment of each video, by feature.
    """

    index: int
    length: int
    table: Path
    videos: Mapping[str, Segment]


def read_episodes(
    root: Path, info: LeRobotInfo, videos: Sequence[str]
) -> tuple[list[Episode], list[str]]:
    """Return the usable episodes in order, and why the others can't be used.

    Args:
        root: The dataset's folder.
        info: Its info.json.
        videos: The features stored as videos.

    Raises:
        ValueError: If the list of episodes can't be read.
    """
    found: dict[int, Episode] = {}
    refused: list[str] = []
    rows = (
        _rows_v3(root, videos, refused) if info.is_v3 else json_rows(root / _EPISODES_V2, refused)
    )
    place = _place_v3 if info.is_v3 else _place_v2
    for number, row in enumerate(rows):
        try:
            episode = place(root, info, row, videos)
            if episode.index in found:
                raise ValueError(f"episode_index is {episode.index} twice; expected each once")
            found[episode.index] = episode
        except Exception as error:  # a bad row concerns only its own episode
            name = shortened(repr(row.get("episode_index", f"of row {number}")), 40)
            refused.append(f"episode {name}: {in_words(error)}")
    return [found[index] for index in sorted(found)], refused


def _rows_v3(root: Path, videos: Sequence[str], refused: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all tables of episodes; append why others can't be used to `refused`."""
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not paths:
        raise ValueError(f"no {root}/meta/episodes/*/*.parquet; expected the table of its episodes")
    names = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    for key in videos:
        names += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", _BEGIN)]
    for path in paths:
        try:
            yield from iterate_rows(path, names)
        except ValueError as error:
            refused.append(in_words(error))


def _place_v2(
    root: Path, info: LeRobotInfo, row: Mapping[str, Any], videos: Sequence[str]
) -> Episode:
    index = whole(row, "episode_index")
    fields = {
        "episode_index": index,
        "episode_chunk": index // info.chunks_size,
        "chunk_index": index // info.chunks_size,
    }
    segments = {
        key: Segment(_video(root, info, {**fields, "video_key": key}), 0.0) for key in videos
    }
    table = inside(root, info.data_path, fields)
    return Episode(index, whole(row, "length"), table, segments)


def _place_v3(
    root: Path, info: LeRobotInfo, row: Mapping[str, Any], videos: Sequence[str]
) -> Episode:
    segments = {}
    for key in videos:
        before = f"videos/{key}/"
        fields = {
            "video_key": key,
            "chunk_index": whole(row, f"{before}chunk_index"),
            "file_index": whole(row, f"{before}file_index"),
        }
        start_s = row.get(f"{before}{_BEGIN}")
        if not isinstance(start_s, float | int) or not 0.0 <= start_s < 1e7:
            raise ValueError(f"{before}{_BEGIN} is {start_s!r}; expected seconds from 0 on")
        segments[key] = Segment(_video(root, info, fields), float(start_s))
    place = {name: whole(row, f"data/{name}") for name in ("chunk_index", "file_index")}
    table = inside(root, info.data_path, place)
    return Episode(whole(row, "episode_index"), whole(row, "length"), table, segments)


def _video(root: Path, info: LeRobotInfo, fields: Mapping[str, Any]) -> Path:
    if info.video_path is None:
        raise ValueError(f"video_path is missing; expected one, as {fields['video_key']} is video")
    return inside(root, info.video_path, fields)
