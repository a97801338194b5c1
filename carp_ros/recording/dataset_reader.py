"""A dataset of `carp convert`, read back: numbers at once, images one by one."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.recording.dataset_files import (
    INFO,
    Row,
    data_path,
    number_of,
    read_episodes,
    read_spec,
    video_path,
)
from carp_ros.recording.dataset_spec import video_key
from carp_ros.recording.tables import Columns, read_columns


class DatasetReader:
    """A finished dataset.

    Attributes:
        root: Its folder.
        spec: What its episodes have in common.
        episodes: Their rows of meta/episodes, in order.

    Raises:
        ValueError: If it is no dataset of `carp convert`, or one whose conversion was interrupted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = read_spec(root)
        if not (root / INFO).is_file():
            raise ValueError(f"no {root / INFO}: the conversion was interrupted; run it again")
        total = json.loads((root / INFO).read_text())["total_episodes"]
        self.episodes: list[Row] = read_episodes(root)[:total]

    @property
    def frames(self) -> int:
        """How many there are, of all episodes."""
        return int(self.episodes[-1]["dataset_to_index"])

    @cached_property
    def columns(self) -> Columns:
        """The numbers of all frames, by column, each of shape (N, D)."""
        numbers = sorted({number_of(row) for row in self.episodes})
        tables = [read_columns(self.root / data_path(number)) for number in numbers]
        return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}

    def episode(self, index: int) -> Columns:
        """Return the numbers of one episode's frames, by column."""
        row = self.episodes[index]
        frames = slice(row["dataset_from_index"], row["dataset_to_index"])
        return {name: column[frames] for name, column in self.columns.items()}

    def follows(self) -> npt.NDArray[np.bool_]:
        """Return of each frame but the last whether the next one is of the same episode."""
        return np.diff(self.columns["episode_index"][:, 0]) == 0

    def steps_ns(self) -> npt.NDArray[np.int64]:
        """Return the true time from each frame to the next of the same episode, in [ns]."""
        return np.diff(self.columns["stamp_ns"][:, 0])[self.follows()]

    def image(self, index: int, camera: str, frame: int) -> npt.NDArray[np.uint8]:
        """Return an image of an episode, RGB of shape (H, W, 3)."""
        from carp_ros.recording.video import read_frame  # numbers are read without PyAV, too

        row = self.episodes[index]
        before_s = row[f"videos/{video_key(camera)}/from_timestamp"]
        path = self.root / video_path(camera, number_of(row))
        return read_frame(path, round(before_s * self.spec.rate_hz) + frame)
