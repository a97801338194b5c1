"""A dataset of `carp convert`, read back: numbers at once, images one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.recording.dataset_check import checked_dataset
from carp_ros.recording.dataset_files import Row, number_of, video_path
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.tables import Columns


class DatasetReader:
    """A finished dataset.

    Attributes:
        root: Its folder.
        spec: What its episodes have in common.
        episodes: Their rows of meta/episodes, in order.

        columns: The numbers of all frames, by column, each of shape (N, D).

    Raises:
        ValueError: If it is no dataset of `carp convert`, one whose conversion was interrupted, or
            one that was changed since.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        spec, episodes, columns = checked_dataset(root)
        self.spec: DatasetSpec = spec
        self.episodes: list[Row] = episodes
        self.columns: Columns = columns

    @property
    def frames(self) -> int:
        """How many there are, of all episodes."""
        return int(self.episodes[-1]["dataset_to_index"])

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

    def images(self, camera: str) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield a camera's images of all frames in order, RGB of shape (H, W, 3).

        Raises:
            ValueError: If one can't be decoded, or there are more or fewer than frames.
        """
        from carp_ros.recording.video import read_video

        for number in sorted({number_of(row) for row in self.episodes}):
            frames = sum(row["length"] for row in self.episodes if number_of(row) == number)
            path = self.root / video_path(camera, number)
            count = 0
            for count, image in enumerate(read_video(path), 1):
                if count <= frames:
                    yield image
            if count != frames:
                raise ValueError(f"{path} has {count} images; expected {frames}: convert it anew")

    def image(self, index: int, camera: str, frame: int) -> npt.NDArray[np.uint8]:
        """Return an image of an episode, RGB of shape (H, W, 3)."""
        from carp_ros.recording.video import read_frame  # numbers are read without PyAV, too

        row = self.episodes[index]
        before_s = row[f"videos/{video_key(camera)}/from_timestamp"]
        path = self.root / video_path(camera, number_of(row))
        return read_frame(path, round(before_s * self.spec.rate_hz) + frame)
