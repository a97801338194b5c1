"""Locates the episodes of a LeRobot dataset: one file each in v2.1, several per file in v3.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_json import mapping_from_json
from carp_ros.recording.lerobot.info import LeRobotInfo, inside
from carp_ros.recording.tables import read_rows
from carp_ros.recording.video_segment import Segment
from carp_ros.refusal import in_words, refusing, shortened

_MOST_BYTES = 200_000_000


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
    rows = _rows_v3(root) if info.is_v3 else _lines(root / "meta" / "episodes.jsonl")
    place = _place_v3 if info.is_v3 else _place_v2
    found: dict[int, Episode] = {}
    refused = []
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


def read_tasks(root: Path, info: LeRobotInfo) -> dict[int, str]:
    """Return the instructions by `task_index`.

    Raises:
        ValueError: If they can't be read.
    """
    if info.is_v3:
        path = root / "meta" / "tasks.parquet"
        rows = read_rows(path)
    else:
        path = root / "meta" / "tasks.jsonl"
        rows = _lines(path)
    tasks = {}
    with refusing(ValueError, str(path)):
        for row in rows:
            # pandas' name for an unnamed index
            text = row.get("task", row.get("__index_level_0__"))
            tasks[_whole(row, "task_index")] = " ".join(str(text).split()) if text else ""
    return tasks


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = given_text(path, _MOST_BYTES).splitlines()
    return [
        mapping_from_json(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _rows_v3(root: Path) -> Iterator[dict[str, Any]]:
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not paths:
        raise ValueError(f"no {root}/meta/episodes/*/*.parquet; expected the table of its episodes")
    for path in paths:
        yield from read_rows(path)


def _place_v2(
    root: Path, info: LeRobotInfo, row: Mapping[str, Any], videos: Sequence[str]
) -> Episode:
    index = _whole(row, "episode_index")
    fields = {
        "episode_index": index,
        "episode_chunk": index // info.chunks_size,
        "chunk_index": index // info.chunks_size,
    }
    segments = {
        key: Segment(_video(root, info, {**fields, "video_key": key}), 0.0) for key in videos
    }
    table = inside(root, info.data_path, fields)
    return Episode(index, _whole(row, "length"), table, segments)


def _place_v3(
    root: Path, info: LeRobotInfo, row: Mapping[str, Any], videos: Sequence[str]
) -> Episode:
    segments = {}
    for key in videos:
        before = f"videos/{key}/"
        fields = {
            "video_key": key,
            "chunk_index": _whole(row, f"{before}chunk_index"),
            "file_index": _whole(row, f"{before}file_index"),
        }
        start_s = row.get(f"{before}from_timestamp")
        if not isinstance(start_s, float | int) or not 0.0 <= start_s < 1e7:
            raise ValueError(f"{before}from_timestamp is {start_s!r}; expected seconds from 0 on")
        segments[key] = Segment(_video(root, info, fields), float(start_s))
    place = {name: _whole(row, f"data/{name}") for name in ("chunk_index", "file_index")}
    table = inside(root, info.data_path, place)
    return Episode(_whole(row, "episode_index"), _whole(row, "length"), table, segments)


def _video(root: Path, info: LeRobotInfo, fields: Mapping[str, Any]) -> Path:
    if info.video_path is None:
        raise ValueError(f"video_path is missing; expected one, as {fields['video_key']} is video")
    return inside(root, info.video_path, fields)


def _whole(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError(f"{name} is {shortened(repr(value), 40)}; expected a whole number from 0")
    return value
