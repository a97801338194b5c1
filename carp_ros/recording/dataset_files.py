"""The paths of a dataset's files, and the reading of its spec and its episodes' rows.

Separate from the writing code, so that readers need no video or bag library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carp_ros.files.plain_json import load_json
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.tables import read_rows
from carp_ros.refusal import shortened

INFO = "meta/info.json"
OURS = "meta/carp.json"

_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{_FILE}.parquet"
DATA_PATH = f"data/{_FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{_FILE}.mp4"
FILES_A_CHUNK = 1000

Row = dict[str, Any]
"""One episode's row of meta/episodes."""


def place(number: int) -> dict[str, int]:
    """Return the chunk and file index of a file number, which counts from 0 over all chunks."""
    return {"chunk_index": number // FILES_A_CHUNK, "file_index": number % FILES_A_CHUNK}


def number_of(row: Row) -> int:
    """Return the number of the files that hold an episode.

    Raises:
        ValueError: If the row lacks valid indices.
    """
    chunk, file = row.get("data/chunk_index"), row.get("data/file_index")
    if not (type(chunk) is int and type(file) is int and chunk >= 0 and file >= 0):
        raise ValueError(
            f"episode {row.get('episode_index')} is in chunk {chunk}, file {file}; expected"
            " numbers from 0 on"
        )
    return chunk * FILES_A_CHUNK + file


def data_path(number: int) -> str:
    """Return the path of a file of numbers, relative to the dataset."""
    return DATA_PATH.format(**place(number))


def video_path(camera: str, number: int) -> str:
    """Return the path of a camera's video, relative to the dataset."""
    return VIDEO_PATH.format(video_key=video_key(camera), **place(number))


def read_episodes(root: Path) -> list[Row]:
    """Return the episodes' rows; an episode without one is not in the dataset."""
    rows = []
    for path in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        rows += read_rows(path)
    return rows


def read_spec(root: Path) -> DatasetSpec:
    """Return what all episodes of a dataset have in common.

    Raises:
        ValueError: If it is no dataset of `carp convert`.
    """
    path = root / OURS
    if not path.is_file():
        raise ValueError(_whose(root))
    return DatasetSpec.from_json(load_json(path), str(path))


def _whose(root: Path) -> str:
    """Return why a folder without `OURS` is refused; it may be another program's dataset."""
    expected = "expected the folder of a dataset of `carp convert`"
    if not (root / INFO).is_file():
        return f"no {root / OURS}; {expected}"
    info = load_json(root / INFO)
    features = info.get("features")
    names = ", ".join(map(str, features)) if isinstance(features, dict) else "no features"
    return shortened(
        f"{root} is a LeRobot dataset {info.get('codebase_version')} of another program (robot"
        f" {info.get('robot_type')}; {names}): it lacks {OURS}, which says the rig, the joints and"
        f" the cameras, and the times of capture in stamp_ns; {expected}",
        600,
    )
