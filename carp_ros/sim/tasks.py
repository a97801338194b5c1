"""The tasks in the cell, and how their success is judged.

Right and left are the robot's: it faces along x, so its right is at negative y.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.sim.arm_model import GRIPPER_PREFIX, TCP_SITE
from carp_ros.sim.levels import Level
from carp_ros.sim.vessels import BOWL, CUP, POT, VISUAL_GROUP, add_vessel
from carp_ros.types import Pose

_STILL_M_S = 0.01
_STILL_RAD_S = 0.1
_CLEAR_M = 0.08
_UPRIGHT_COS = np.cos(np.radians(8.0))


@dataclass(frozen=True)
class TaskResult:
    """Verdict on a task; `reasons` says in words what is not right yet."""

    reasons: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether the task is done."""
        return not self.reasons


@dataclass(frozen=True)
class Area:
    """A horizontal rectangle: its centre and half sizes, in the base frame, in [m]."""

    x: float
    y: float
    half_x: float
    half_y: float

    def draw(self, rng: np.random.Generator, level: Level, yaw_rad: float | None = None) -> Pose:
        """Return a random place on the table, with a yaw of up to `yaw_rad` either way."""
        dx, dy, turn = rng.uniform(-1.0, 1.0, 3)
        yaw = turn * (level.yaw_rad if yaw_rad is None else min(yaw_rad, level.yaw_rad))
        return Pose(
            np.array(
                [
                    self.x + level.place * self.half_x * dx,
                    self.y + level.place * self.half_y * dy,
                    0.0,
                ]
            ),
            quaternion_from_rotvec(np.array([0.0, 0.0, yaw])),
        )

    def holds(self, x: float, y: float) -> bool:
        """Return whether a point is inside."""
        return abs(x - self.x) <= self.half_x and abs(y - self.y) <= self.half_y


class Task(Protocol):
    """A task.

    Attributes:
        name: As in a rig file's `cell.task`.
        instruction: The instruction for a person.
        objects: Names of the free bodies, each with a joint `<name>_free`.
    """

    name: str
    instruction: str
    objects: tuple[str, ...]

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add the objects, at the origin, and the markings on the table."""
        ...

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return the pose of each object at the start of an episode."""
        ...

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Judge the current state; a task is only done once everything is at rest."""
        ...


class Cup:
    """Find the cup, pick it up, and put it down steadily on the right of the table."""

    name = "cup"
    instruction = "put the cup on the green field on the right"
    objects: tuple[str, ...] = ("cup",)
    zone = Area(0.50, -0.22, 0.10, 0.08)
    start = Area(0.49, 0.14, 0.14, 0.15)

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add the cup and its target field."""
        _add_material(spec, "zone", (0.22, 0.62, 0.36))
        _add_material(spec, "cup", (0.86, 0.16, 0.13), shiny=True)
        spec.worldbody.add_geom(
            name="zone",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[self.zone.half_x, self.zone.half_y, 0.0005],
            pos=[self.zone.x, self.zone.y, 0.0],
            material="zone",
            group=VISUAL_GROUP,
            contype=0,
            conaffinity=0,
        )
        add_vessel(spec, CUP, visuals=visuals)

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return a place for the cup on the left, with its handle in any direction."""
        return {"cup": self.start.draw(rng, level)}

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Judge whether the cup stands in the field, at rest and released."""
        reasons = list(_unsettled(model, data, "cup"))
        x, y, z = data.body("cup").xpos
        if not self.zone.holds(x, y):
            reasons.append(f"cup is at ({x:.2f}, {y:.2f}) m, outside of the field")
        if abs(z) > 0.005:
            reasons.append(f"cup is {z * 1e3:.0f} mm above the table")
        return TaskResult(tuple(reasons))


class Bowl:
    """Pick the smaller bowl and place it inside the pot."""

    name = "bowl"
    instruction = "put the bowl into the pot"
    objects: tuple[str, ...] = ("bowl", "pot")
    start = Area(0.49, 0.16, 0.12, 0.12)
    pot_start = Area(0.50, -0.20, 0.06, 0.05)

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add bowl and pot."""
        _add_material(spec, "bowl", (0.95, 0.74, 0.20), shiny=True)
        _add_material(spec, "pot", (0.27, 0.32, 0.42), shiny=True)
        add_vessel(spec, BOWL, visuals=visuals)
        add_vessel(spec, POT, visuals=visuals)

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return places for the bowl, on the left, and for the pot, on the right."""
        return {
            "bowl": self.start.draw(rng, level),
            "pot": self.pot_start.draw(rng, level, yaw_rad=0.5),
        }

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Judge whether the bowl stands in the upright pot, at rest and released."""
        reasons = [*_unsettled(model, data, "bowl"), *_unsettled(model, data, "pot")]
        offset = data.body("bowl").xpos - data.body("pot").xpos
        aside = float(np.hypot(offset[0], offset[1]))
        # The largest offset that the wall permits while the bowl stands on the pot's floor.
        if aside > POT.inner_radius_m - BOWL.inner_radius_m:
            reasons.append(f"bowl is {aside * 1e3:.0f} mm from the middle of the pot")
        if not 0.0 < offset[2] < 0.015:
            reasons.append(f"bowl is {offset[2] * 1e3:.0f} mm above the pot's underside")
        if abs(data.body("pot").xpos[2]) > 0.005:
            reasons.append("pot does not stand on the table")
        return TaskResult(tuple(reasons))


TASKS: dict[str, Task] = {task.name: task for task in (Cup(), Bowl())}


def task_named(name: str) -> Task:
    """Look up a task by its name or its instruction.

    Raises:
        ValueError: If there is none of that name.
    """
    for task in TASKS.values():
        if name == task.instruction:
            return task
    if name not in TASKS:
        raise ValueError(f"task is {name!r}; expected one of {', '.join(TASKS)}")
    return TASKS[name]


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


def _add_material(
    spec: mujoco.MjSpec, name: str, rgb: tuple[float, float, float], *, shiny: bool = False
) -> None:
    spec.add_material(name=name, rgba=[*rgb, 1.0], specular=0.4 if shiny else 0.05, shininess=0.5)
