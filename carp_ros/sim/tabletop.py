"""Tasks of vessels on a table with coloured fields, as data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np

from carp_ros.sim.goals import Area, Goal, TaskResult, judge
from carp_ros.sim.levels import Level
from carp_ros.sim.task import Rgb, Staging
from carp_ros.sim.vessels import VISUAL_GROUP, Vessel, add_vessel
from carp_ros.types import Pose

COLOURS: dict[str, Rgb] = {
    "red": (0.86, 0.16, 0.13),
    "green": (0.22, 0.62, 0.36),
    "blue": (0.13, 0.30, 0.80),
    "yellow": (0.95, 0.78, 0.12),
    "white": (0.93, 0.93, 0.93),
    "purple": (0.46, 0.17, 0.62),
}
"""Colours that have names, as instructions use them."""

_MOST_DRAWS = 1000


@dataclass(frozen=True)
class TabletopTask:
    """A `task.Task` of vessels and fields.

    Attributes:
        name: As in a rig file's `cell.task`.
        instruction: For a person.
        vessels: The objects, each a body with its material.
        starts: Where an object is at the start of an episode, in the order of drawing.
        apart_m: Least distance between two objects' starts.
        fields: Markings on the table, by name, which is their material's, too.
        colours: Usual colours of the materials.
        palettes: Names of colours that replace usual ones, by material; a seed chooses one.
        goals: In their words, `{material}` stands for the chosen colour's name.
    """

    name: str
    instruction: str
    vessels: tuple[Vessel, ...]
    starts: Mapping[str, Area]
    colours: Mapping[str, Rgb]
    goals: tuple[Goal, ...]
    fields: Mapping[str, Area] = field(default_factory=dict)
    palettes: tuple[Mapping[str, str], ...] = ({},)
    apart_m: float = 0.0

    @property
    def has_one_goal(self) -> bool:
        """Whether only one thing can be asked for."""
        return len(self.goals) == 1

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the free bodies, each with a joint `<name>_free`."""
        return tuple(vessel.name for vessel in self.vessels)

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add the objects, at the origin, and the markings on the table."""
        for name, rgb in self.colours.items():
            specular = 0.05 if name in self.fields else 0.4
            spec.add_material(name=name, rgba=[*rgb, 1.0], specular=specular, shininess=0.5)
        for name, area in self.fields.items():
            spec.worldbody.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=[area.half_x, area.half_y, 0.0005],
                pos=[area.x, area.y, 0.0],
                material=name,
                group=VISUAL_GROUP,
                contype=0,
                conaffinity=0,
            )
        for vessel in self.vessels:
            add_vessel(spec, vessel, visuals=visuals)

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return the pose of each object at the start of an episode."""
        for _ in range(_MOST_DRAWS):
            poses = {name: area.draw(rng, level) for name, area in self.starts.items()}
            if self._are_apart(poses):
                return poses
        raise AssertionError(f"{self.name}: no room for {', '.join(self.objects)}")

    def stage(self, rng: np.random.Generator) -> Staging:
        """Return the colours of an episode, and what is asked for."""
        names = self.palettes[rng.integers(len(self.palettes))]
        asked = [self.goals[i] for i in rng.permutation(len(self.goals))]
        goals = (
            replace(
                goal,
                moved_words=goal.moved_words.format_map(names),
                place_words=goal.place_words.format_map(names),
            )
            for goal in asked
        )
        return Staging({name: COLOURS[colour] for name, colour in names.items()}, tuple(goals))

    def judge(self, goal: Goal, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Judge whether a goal is reached."""
        vessels = {vessel.name: vessel for vessel in self.vessels}
        return judge(goal, self.fields, vessels, model, data)

    def _are_apart(self, poses: Mapping[str, Pose]) -> bool:
        return all(
            np.linalg.norm(one.position - other.position) >= self.apart_m
            for one, other in itertools.combinations(poses.values(), 2)
        )
