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
_FILE_OF, _BEGIN = ("chunk_index", "file_index"), "from_timestamp"
_MOST_EPISODES = 500_000


@dataclass(frozen=True, slots=True)
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
    files = _Files(root, info)
    place = _place_v3 if info.is_v3 else _place_v2
    for number, row in enumerate(rows):
        try:
            if number >= _MOST_EPISODES:
                refused.append(f"episodes from row {number} on; expected at most that many")
                break
            episode = place(files, row, videos)
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
    names = ["episode_index", "length", *(f"data/{name}" for name in _FILE_OF)]
    for key in videos:
        names += [f"videos/{key}/{name}" for name in (*_FILE_OF, _BEGIN)]
    for path in paths:
        try:
            yield from iterate_rows(path, names)
        except ValueError as error:
            refused.append(in_words(error))


class _Files:
    """The paths of a dataset's files; one path for all episodes in a file.

    Args:
        root: The dataset's folder.
        info: Its info.json.
    """

    def __init__(self, root: Path, info: LeRobotInfo) -> None:
        self._root, self.info = root, info
        self._known: dict[str, Path] = {}

    def table(self, **fields: int) -> Path:
        """Return the path of a file of numbers."""
        return self._path(self.info.data_path, fields)

    def video(self, video_key: str, **fields: int) -> Path:
        """Return the path of a video."""
        if self.info.video_path is None:
            raise ValueError(f"video_path is missing; expected one, as {video_key} is video")
        return self._path(self.info.video_path, {"video_key": video_key, **fields})

    def _path(self, template: str, fields: Mapping[str, Any]) -> Path:
        name = template.format(**fields)
        if name not in self._known:
            self._known[name] = inside(self._root, name)
        return self._known[name]


def _place_v2(files: _Files, row: Mapping[str, Any], videos: Sequence[str]) -> Episode:
    index = whole(row, "episode_index")
    chunk = index // files.info.chunks_size
    fields = {"episode_index": index, "episode_chunk": chunk, "chunk_index": chunk}
    segments = {key: Segment(files.video(key, **fields), 0.0) for key in videos}
    return Episode(index, whole(row, "length"), files.table(**fields), segments)


def _place_v3(files: _Files, row: Mapping[str, Any], videos: Sequence[str]) -> Episode:
    segments = {}
    for key in videos:
        before = f"videos/{key}/"
        start_s = row.get(f"{before}{_BEGIN}")
        if not isinstance(start_s, float | int) or not 0.0 <= start_s < 1e7:
            raise ValueError(f"{before}{_BEGIN} is {start_s!r}; expected seconds from 0 on")
        path = files.video(key, **{name: whole(row, f"{before}{name}") for name in _FILE_OF})
        segments[key] = Segment(path, float(start_s))
    table = files.table(**{name: whole(row, f"data/{name}") for name in _FILE_OF})
    return Episode(whole(row, "episode_index"), whole(row, "length"), table, segments)
