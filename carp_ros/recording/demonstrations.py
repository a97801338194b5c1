"""The interface between datasets and training, whichever program recorded the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import Layout
from carp_ros.inference.policy_spec import ObservationSpec

Image = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Frames:
    """The numbers of F frames, episode by episode.

    Attributes:
        states: Measured states, of shape (F, S), float32.
        actions: Commanded actions, of shape (F, A), float32.
        episodes: Each frame's episode number, of shape (F,).
        tasks: Each frame's task index, of shape (F,).
        task_names: The tasks' names, by index.
        words: Each frame's instruction index, of shape (F,); None if tasks are named by them.
        instructions: By index.
    """

    states: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    episodes: Indices
    tasks: Indices
    task_names: tuple[str, ...]
    words: Indices | None = None
    instructions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.tasks)

    def by_instruction(self) -> Frames:
        """Return the same frames with a task for each instruction."""
        if self.words is None:
            return self
        return replace(self, tasks=self.words, task_names=self.instructions)


class UnreadableEpisodeError(ValueError):
    """The images of one episode can't be decoded; other episodes can still be read.

    Attributes:
        episode: Its number.
    """

    def __init__(self, episode: int, reason: str) -> None:
        super().__init__(reason)
        self.episode = episode


class Demonstrations(Protocol):
    """A checked dataset with its numbers in memory; images are decoded on demand.

    A reader for another dataset format implements this protocol.
    """

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        ...

    @property
    def contents(self) -> str:
        """A digest of the dataset's contents that changes whenever they do."""
        ...

    @property
    def rig(self) -> str:
        """Name of the rig or robot that recorded it."""
        ...

    @property
    def step_s(self) -> float:
        """Time between frames in [s]."""
        ...

    @property
    def state(self) -> Layout:
        """Layout of a state's numbers."""
        ...

    @property
    def action(self) -> Layout:
        """Layout of an action's numbers."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names."""
        ...

    @property
    def observation(self) -> ObservationSpec:
        """How its frames were assembled: the reference camera and the allowed skew."""
        ...

    @property
    def dataset_px(self) -> Mapping[str, tuple[int, int]]:
        """Width and height by camera to which live images must be resized first."""
        ...

    @property
    def numbers(self) -> Frames:
        """The numbers of all frames."""
        ...

    @property
    def refused(self) -> tuple[str, ...]:
        """What can't be used of the dataset, one line each: name, value, expectation, remedy."""
        ...

    def images(self, camera: str, episode: int) -> Iterator[Image]:
        """Yield a camera's images of an episode's frames in order, RGB of shape (H, W, 3).

        Raises:
            UnreadableEpisodeError: If one can't be decoded and the episode may be skipped.
            ValueError: If one can't be decoded.
        """
        ...
