"""Reads a dataset of `carp convert`: all numbers into memory, images on demand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import Layout
from carp_ros.inference.policy_spec import ObservationSpec
from carp_ros.recording.dataset_check import checked_dataset
from carp_ros.recording.dataset_files import Row, number_of, video_path
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.demonstrations import Frames
from carp_ros.recording.tables import Columns
from carp_ros.recording.video_segment import Segment


class DatasetReader:
    """A finished dataset; a `Demonstrations`.

    Attributes:
        root: Its folder.
        spec: What its episodes have in common.
        episodes: Their rows of meta/episodes, in order.
        columns: The numbers of all frames by column, each of shape (N, D).

    Raises:
        ValueError: If it is not a dataset of `carp convert`, its conversion was interrupted, or it
            was changed since.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        spec, episodes, columns = checked_dataset(root)
        self.spec: DatasetSpec = spec
        self.episodes: list[Row] = episodes
        self.columns: Columns = columns

    @property
    def contents(self) -> str:
        """A digest of the dataset's contents; a new conversion changes it."""
        facts = json.dumps([self.episodes, str(self.spec)], default=str, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    @property
    def rig(self) -> str:
        """Name of the rig that recorded it."""
        return self.spec.rig

    @property
    def step_s(self) -> float:
        """Time between frames in [s]."""
        return 1.0 / self.spec.rate_hz

    @property
    def state(self) -> Layout:
        """Layout of a state's numbers."""
        return self.spec.state

    @property
    def action(self) -> Layout:
        """Layout of an action's numbers."""
        return self.spec.action

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names."""
        return tuple(self.spec.cameras)

    @property
    def observation(self) -> ObservationSpec:
        """How its frames were assembled: the reference camera and the allowed skew."""
        return ObservationSpec(self.spec.reference, self.spec.skew_s)

    @property
    def dataset_px(self) -> Mapping[str, tuple[int, int]]:
        """Width and height of the images by camera, if `carp convert` resized them; else empty."""
        return self.spec.cameras if self.spec.resized else {}

    @property
    def numbers(self) -> Frames:
        """State, action, episode and task of each frame; tasks by their short name."""
        return self._numbers

    @cached_property
    def _numbers(self) -> Frames:
        tasks, names = _numbered([row["task"] for row in self.episodes])
        words, instructions = _numbered([row["tasks"][0] for row in self.episodes])
        episodes = self.columns["episode_index"][:, 0].astype(np.int64)
        return Frames(
            self.columns["observation.state"].astype(np.float32),
            self.columns["action"].astype(np.float32),
            episodes,
            tasks[episodes],
            names,
            words[episodes],
            instructions,
        )

    @property
    def refused(self) -> tuple[str, ...]:
        """Always empty: such a dataset is used entirely or not at all."""
        return ()

    @property
    def frames(self) -> int:
        """The number of frames in all episodes."""
        return int(self.episodes[-1]["dataset_to_index"])

    def episode(self, index: int) -> Columns:
        """Return the numbers of one episode's frames, by column."""
        row = self.episodes[index]
        frames = slice(row["dataset_from_index"], row["dataset_to_index"])
        return {name: column[frames] for name, column in self.columns.items()}

    def follows(self) -> npt.NDArray[np.bool_]:
        """Return, for each frame but the last, whether the next one belongs to the same episode."""
        return np.diff(self.columns["episode_index"][:, 0]) == 0

    def steps_ns(self) -> npt.NDArray[np.int64]:
        """Return the true time in [ns] from each frame to the next one of the same episode."""
        return np.diff(self.columns["stamp_ns"][:, 0])[self.follows()]

    def images(self, camera: str, episode: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield a camera's images of an episode's frames in order, RGB of shape (H, W, 3).

        Raises:
            ValueError: If one is missing or can't be decoded.
        """
        from carp_ros.recording.video import read_segment  # imported late: numbers need no PyAV

        row = self.episodes[episode]
        path = self.root / video_path(camera, number_of(row))
        segment = Segment(path, row[f"videos/{video_key(camera)}/from_timestamp"])
        yield from read_segment(segment, row["length"], self.spec.rate_hz)

    def image(self, index: int, camera: str, frame: int) -> npt.NDArray[np.uint8]:
        """Return one image of an episode, RGB of shape (H, W, 3)."""
        from carp_ros.recording.video import read_frame

        row = self.episodes[index]
        before_s = row[f"videos/{video_key(camera)}/from_timestamp"]
        path = self.root / video_path(camera, number_of(row))
        return read_frame(path, round(before_s * self.spec.rate_hz) + frame)


def _numbered(names: list[str]) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the number of each name, and the names by number, in order of appearance."""
    known = tuple(dict.fromkeys(names))
    return np.array([known.index(name) for name in names], np.int64), known
