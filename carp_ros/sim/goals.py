"""What can be asked for on the table, and how it is judged.

Right and left are the robot's: it faces along x, so its right is at negative y.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.sim.arm_model import GRIPPER_PREFIX, TCP_SITE
from carp_ros.sim.levels import Level
from carp_ros.sim.vessels import Vessel
from carp_ros.types import Pose

_STILL_M_S = 0.01
_STILL_RAD_S = 0.1
_CLEAR_M = 0.08
_UPRIGHT_COS = np.cos(np.radians(8.0))


@dataclass(frozen=True)
class Area:
    """A horizontal rectangle: its centre and half sizes, in the base frame, in [m].

    Attributes:
        yaw_rad: Of what is placed there: at most this far either way; None: as the level says.
    """

    x: float
    y: float
    half_x: float
    half_y: float
    yaw_rad: float | None = None

    def draw(self, rng: np.random.Generator, level: Level) -> Pose:
        """Return a random place on the table, with a random yaw."""
        dx, dy, turn = rng.uniform(-1.0, 1.0, 3)
        most_rad = level.yaw_rad if self.yaw_rad is None else min(self.yaw_rad, level.yaw_rad)
        place = [self.x + level.place * self.half_x * dx, self.y + level.place * self.half_y * dy]
        yaw = np.array([0.0, 0.0, turn * most_rad])
        return Pose(np.array([*place, 0.0]), quaternion_from_rotvec(yaw))

    def holds(self, x: float, y: float) -> bool:
        """Return whether a point is inside."""
        return abs(x - self.x) <= self.half_x and abs(y - self.y) <= self.half_y


@dataclass(frozen=True)
class Goal:
    """An object, and where it is to stand.

    Attributes:
        moved: Name of the object's body.
        place: Name of a field, or of the vessel to stand in.
        moved_words, place_words: Both in words, such as `red cup` and `green field`.
        is_inside: Whether `place` is a vessel.
        colour: Of the object, if its words don't say it.
    """

    moved: str
    place: str
    moved_words: str
    place_words: str
    is_inside: bool = False
    colour: str = ""

    @property
    def named_colours(self) -> set[str]:
        """Colours that a sentence may name that asks for this goal."""
        return {*self.moved_words.split(), *self.place_words.split(), self.colour}


@dataclass(frozen=True)
class TaskResult:
    """Verdict on a task; `reasons` says in words what is not right yet."""

    reasons: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether the task is done."""
        return not self.reasons


def judge(
    goal: Goal,
    fields: Mapping[str, Area],
    vessels: Mapping[str, Vessel],
    model: mujoco.MjModel,
    data: mujoco.MjData,
) -> TaskResult:
    """Judge the current state; a goal is only reached once everything is at rest and released."""
    if goal.is_inside:
        return TaskResult(tuple(_not_inside(goal, vessels, model, data)))
    return TaskResult(tuple(_not_on(goal, fields[goal.place], model, data)))


def _not_on(goal: Goal, field: Area, model: mujoco.MjModel, data: mujoco.MjData) -> Iterator[str]:
    yield from _unsettled(model, data, goal.moved)
    x, y, z = data.body(goal.moved).xpos
    if not field.holds(x, y):
        yield f"{goal.moved_words} is at ({x:.2f}, {y:.2f}) m, outside of the {goal.place_words}"
    if abs(z) > 0.005:
        yield f"{goal.moved_words} is {z * 1e3:.0f} mm above the table"


def _not_inside(
    goal: Goal, vessels: Mapping[str, Vessel], model: mujoco.MjModel, data: mujoco.MjData
) -> Iterator[str]:
    yield from _unsettled(model, data, goal.moved)
    yield from _unsettled(model, data, goal.place)
    offset = data.body(goal.moved).xpos - data.body(goal.place).xpos
    aside = float(np.hypot(offset[0], offset[1]))
    # The largest offset that the wall permits while the object stands on the other's floor.
    if aside > vessels[goal.place].inner_radius_m - vessels[goal.moved].inner_radius_m:
        yield f"{goal.moved} is {aside * 1e3:.0f} mm from the middle of the {goal.place}"
    if not 0.0 < offset[2] < 0.015:
        yield f"{goal.moved} is {offset[2] * 1e3:.0f} mm above the {goal.place}'s underside"
    if abs(data.body(goal.place).xpos[2]) > 0.005:
        yield f"{goal.place} does not stand on the table"


def _unsettled(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> Iterator[str]:
    """Yield the reasons why a body is not upright, at rest and released."""
    body = data.body(name)
    if body.xmat[8] < _UPRIGHT_COS:
        tilt = np.degrees(np.arccos(np.clip(body.xmat[8], -1.0, 1.0)))
        yield f"{name} leans by {tilt:.0f} deg"
    velocity = data.joint(f"{name}_free").qvel
    speed, spin = float(np.linalg.norm(velocity[:3])), float(np.linalg.norm(velocity[3:]))
    if speed > _STILL_M_S or spin > _STILL_RAD_S:
        yield f"{name} moves at {speed:.3f} m/s, {spin:.2f} rad/s"
    if _touches_gripper(model, data, body.id):
        yield f"{name} touches the gripper"
    gap = float(np.linalg.norm(data.site(TCP_SITE).xpos - body.xpos))
    if gap < _CLEAR_M:
        yield f"gripper is {gap * 1e3:.0f} mm from the {name}"


def _touches_gripper(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> bool:
    for contact in data.contact:
        bodies = model.geom_bodyid[contact.geom]
        if body in bodies and any(model.body(b).name.startswith(GRIPPER_PREFIX) for b in bodies):
            return True
    return False
