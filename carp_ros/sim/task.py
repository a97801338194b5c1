"""The interface of a task to the cell: what is on the table, what is asked for, when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from carp_ros.sim.goals import Area, Goal, TaskResult
from carp_ros.sim.levels import Level
from carp_ros.types import Pose

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Staging:
    """What a seed decides about an episode besides places.

    Attributes:
        colours: Of materials, by name; others have their usual colours.
        goals: What is asked for, then what could have been asked for instead.
    """

    colours: Mapping[str, Rgb]
    goals: tuple[Goal, ...]


class Task(Protocol):
    """A task."""

    @property
    def name(self) -> str:
        """As in a rig file's `cell.task`."""
        ...

    @property
    def instruction(self) -> str:
        """For a person."""
        ...

    @property
    def has_one_goal(self) -> bool:
        """Whether only one thing can be asked for."""
        ...

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the free bodies, each with a joint `<name>_free`."""
        ...

    @property
    def fields(self) -> Mapping[str, Area]:
        """Markings on the table, by name."""
        ...

    @property
    def colours(self) -> Mapping[str, Rgb]:
        """Usual colours of its materials, by name."""
        ...

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add the objects, at the origin, and the markings on the table."""
        ...

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return the pose of each object at the start of an episode."""
        ...

    def stage(self, rng: np.random.Generator) -> Staging:
        """Return the colours of an episode, and what is asked for."""
        ...

    def judge(self, goal: Goal, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Judge whether a goal is reached, with everything at rest and released."""
        ...


def staging_of(task: Task, seed: int) -> Staging:
    """Return what a seed decides about a task besides places."""
    return task.stage(np.random.default_rng([seed, 3]))
