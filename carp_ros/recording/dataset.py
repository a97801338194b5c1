"""A LeRobot v3.0 dataset on disk that can grow without a crash ever damaging it.

    data/chunk-000/file-000.parquet                             numbers of many episodes
    videos/observation.images.<camera>/chunk-000/file-000.mp4   their images
    meta/episodes/chunk-000/file-000.parquet                    a row per episode: facts, location
    meta/tasks.parquet stats.json info.json                     summary of all episodes (LeRobot)
    meta/carp.json                                              the dataset's spec (carp_ros only)
    meta/videos_sha256.json                                     SHA-256 of each video
    pieces/                                                     converted, not yet joined episodes

Each episode is first converted into a piece; `commit` then joins pieces into files. Every file is
written atomically, and the one in meta/episodes last: only then are its episodes part of the
dataset. Readers start from info.json, which is removed before the first file changes and rewritten
at the end. A killed process therefore leaves either the old dataset, or one that no reader opens;
running the same conversion again completes the latter, byte for byte as if undisturbed.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from carp_ros.errors import EpisodeError
from carp_ros.files.whole_file import DRAFT, whole_file
from carp_ros.recording.dataset_check import check_episodes, checked_dataset
from carp_ros.recording.dataset_content import tasks_of
from carp_ros.recording.dataset_files import (
    INFO,
    OURS,
    Row,
    data_path,
    number_of,
    read_episodes,
    read_spec,
    video_path,
)
from carp_ros.recording.dataset_meta import episode_row, write_episodes, write_meta
from carp_ros.recording.dataset_spec import DatasetSpec
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.pieces import Piece, read_piece
from carp_ros.recording.tables import Columns, write_columns
from carp_ros.recording.video import join_videos

_PIECES = "pieces"
_LONGEST_NAME = 200  # bytes of a folder's name; file systems allow 255, drafts add a suffix

# A process killed while starting a worker leaves its lock with that worker for a moment.
_LOCK_PATIENCE_S = 1.0

# LeRobot compares times in a video in single precision, to 0.1 ms: beyond 1024 s, neighbouring
# single-precision numbers are further apart than that.
_LONGEST_VIDEO_S = 1000


class Dataset:
    """A dataset that one process at a time adds episodes to.

    Args:
        root: Its folder: new, a dataset of `carp convert`, or one whose conversion was killed.
        way: The conversion settings as part of a file name; pieces made with other settings are not
            reused.

    Raises:
        ValueError: If the folder holds something else, or another process adds to it.
    """

    def __init__(self, root: Path, way: str) -> None:
        if root.exists() and any(root.iterdir()) and not _is_ours(root):
            raise ValueError(
                f"{root} holds something that carp did not convert; expected a new folder, or a"
                " dataset of `carp convert` to add to"
            )
        self._root = root
        self._way = way
        self._lock = _lock(root)
        try:
            self.spec, self._episodes = _checked(root)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock, so that another process can add to the dataset."""
        os.close(self._lock)

    @property
    def sources(self) -> set[tuple[str, int]]:
        """The episodes it contains: name, and start of the recording in [ns] of ROS time."""
        return {(row["source"], row["started_ns"]) for row in self._episodes}

    def piece_folder(self, source: str, info: EpisodeInfo) -> Path:
        """Return the folder of an episode's piece, whether or not it exists yet."""
        name = f"{source}-{info.started_ns}-{self._way}"
        if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME:
            digest = sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
            name = f"{digest}-{info.started_ns}-{self._way[:80]}"
        return self._root / _PIECES / name

    def take(self, folder: Path) -> Piece:
        """Read a piece and check its spec against the dataset's, which the first piece sets.

        Raises:
            EpisodeError: If the specs differ.
        """
        piece = read_piece(folder)
        difference = self.spec.difference(piece.spec) if self.spec else ""
        if difference:
            raise EpisodeError(difference)
        self.spec = piece.spec
        return piece

    def commit(self, pieces: Sequence[Piece]) -> None:
        """Add pieces to the dataset in this order, and delete all pieces."""
        if pieces and self.spec:
            (self._root / INFO).unlink(missing_ok=True)
            with whole_file(self._root / OURS) as draft:
                draft.write_text(
                    json.dumps(dataclasses.asdict(self.spec), indent=4) + "\n", encoding="utf-8"
                )
        if not (self._root / INFO).exists():
            self._remove_strays()
            for volume in _volumes(pieces):
                self._write_volume(volume)
            if self.spec is not None and self._episodes:
                write_meta(self._root, self.spec, self._episodes)
        self._remove_pieces()

    def _write_volume(self, pieces: Sequence[Piece]) -> None:
        """Write the next set of files: numbers, one video per camera, and the episodes' rows."""
        number = 1 + max(map(number_of, self._episodes), default=-1)
        tables = list(self._placed(pieces))
        whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        write_columns(self._root / data_path(number), whole)
        spec = pieces[0].spec
        for camera in spec.cameras:
            with whole_file(self._root / video_path(camera, number)) as draft:
                join_videos([piece.video(camera) for piece in pieces], draft, spec.rate_hz)
        rows, frames = [], 0
        for piece, table in zip(pieces, tables):
            rows.append(episode_row(piece, table, frames, number))
            frames += piece.length
        write_episodes(self._root, number, rows)
        self._episodes += rows

    def _placed(self, pieces: Sequence[Piece]) -> Iterator[Columns]:
        """Yield each piece's columns, with those that number it within the dataset."""
        tasks = tasks_of(self._episodes)
        episode, index = len(self._episodes), sum(row["length"] for row in self._episodes)
        for piece in pieces:
            if piece.instruction not in tasks:
                tasks.append(piece.instruction)
            ones = np.ones((piece.length, 1), np.int64)
            yield {
                **piece.columns(),
                "episode_index": ones * episode,
                "index": index + np.arange(piece.length).reshape(-1, 1),
                "task_index": ones * tasks.index(piece.instruction),
            }
            episode, index = episode + 1, index + piece.length

    def _remove_strays(self) -> None:
        """Delete files of a killed process that no row of meta/episodes refers to."""
        cameras = self.spec.cameras if self.spec else ()
        known = {
            self._root / path
            for number in map(number_of, self._episodes)
            for path in (data_path(number), *(video_path(camera, number) for camera in cameras))
        }
        for pattern in ("data/*/*", "videos/*/*/*", f"meta/**/*{DRAFT}"):
            for path in self._root.glob(pattern):
                if path not in known:
                    path.unlink()

    def _remove_pieces(self) -> None:
        # a killed process's worker may still be writing one: it is deleted next time
        shutil.rmtree(self._root / _PIECES, ignore_errors=True)
        with suppress(OSError):  # only an empty folder is removed
            self._root.rmdir()


def _checked(root: Path) -> tuple[DatasetSpec | None, list[Row]]:
    """Return a dataset's spec and rows so far, finished or not, after checking them."""
    if (root / INFO).exists():
        spec, rows, _ = checked_dataset(root)
        return spec, rows
    rows = read_episodes(root)
    if not rows:
        return None, []
    spec = read_spec(root)
    check_episodes(root, spec, rows)
    return spec, rows


def _is_ours(root: Path) -> bool:
    return (root / OURS).exists() or (root / _PIECES).exists()


def _lock(root: Path) -> int:
    """Lock a dataset's folder; return the descriptor that holds the lock until it is closed."""
    (root / _PIECES).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY)
    give_up_s = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                os.close(descriptor)
                raise ValueError(
                    f"another process converts into {root}; wait until it has ended"
                ) from None
            time.sleep(0.05)
        else:
            return descriptor


def _volumes(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Group pieces into those that go into one file each."""
    volume: list[Piece] = []
    for piece in pieces:
        frames = sum(other.length for other in volume) + piece.length
        if volume and frames > _LONGEST_VIDEO_S * piece.spec.rate_hz:
            yield volume
            volume = []
        volume.append(piece)
    if volume:
        yield volume
