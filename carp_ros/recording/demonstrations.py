"""What a policy learns from, whoever recorded it: the border between datasets and training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """The numbers of F frames, one episode after the other.

    Attributes:
        states: What was measured, of shape (F, S), float32.
        actions: What was commanded, of shape (F, A), float32.
        episodes: Number of each frame's episode, of shape (F,).
        tasks: Index of each frame's task, of shape (F,).
        task_names: By index.
    """

    states: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    episodes: Indices
    tasks: Indices
    task_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tasks)


class UnreadableEpisodeError(ValueError):
    """Images of one episode can't be decoded; those of the others can be asked for.

    Attributes:
        episode: Its number.
    """

    def __init__(self, episode: int, reason: str) -> None:
        super().__init__(reason)
        self.episode = episode


class Demonstrations(Protocol):
    """A dataset that was checked; its numbers are in memory, its images are decoded when asked for.

    A reader of another format is everything that has these.
    """

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        ...

    @property
    def contents(self) -> str:
        """A digest that names what the dataset holds: another one after any change."""
        ...

    @property
    def rig(self) -> str:
        """Name of the rig, or of the robot, that it was recorded with."""
        ...

    @property
    def step_s(self) -> float:
        """From one frame to the next, in [s]."""
        ...

    @property
    def state(self) -> Layout:
        """What the numbers of a state mean."""
        ...

    @property
    def action(self) -> Layout:
        """What the numbers of an action mean."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def observation(self) -> ObservationSpec:
        """How its frames were made of what was recorded."""
        ...

    @property
    def dataset_px(self) -> Mapping[str, tuple[int, int]]:
        """Width and height that live images must be resized to first, by camera."""
        ...

    @property
    def numbers(self) -> Frames:
        """The numbers of all frames."""
        ...

    @property
    def refused(self) -> tuple[str, ...]:
        """What of the dataset can't be used, one line each: name, value, expectation, remedy."""
        ...

    def images(self, camera: str, episode: int) -> Iterator[Image]:
        """Yield a camera's images of an episode's frames in order, RGB of shape (H, W, 3).

        Raises:
            UnreadableEpisodeError: If one can't be decoded, and the episode can be left out.
            ValueError: If one can't be decoded.
        """
        ...
