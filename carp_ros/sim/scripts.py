"""The scripted operator's steps towards each goal, as generators of moves and grips.

A script reads the cell between its steps and retries failed grasps. Random numbers vary its
choices: the place on the object, heights, speeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_matrix
from carp_ros.sim.cell import Cell
from carp_ros.sim.goals import Goal
from carp_ros.sim.vessels import BOWL, CUP, FLOOR_M
from carp_ros.types import Array, Pose

HURRY_M_S = 0.22
CARE_M_S = 0.10
_ATTEMPTS = 3
# Allowed angle between a cup's handle and the normal to the line on which the fingers close.
_HANDLE_SLACK_RAD = 0.6
_CLEARANCE_M = 0.004  # of the palm above a rim


# Deliberate errors of the first aim and of its correction, and the tolerance of each. A policy that
# only saw tools directly above their target would not know what to do beside it.
_AIM_M, _AIMED_M = 0.025, 0.010
_LOOK_M, _LOOKED_M = 0.006, 0.008


@dataclass(frozen=True)
class Move:
    """Move the tool to `pose` at up to `speed_m_s`.

    Attributes:
        pose: The target.
        speed_m_s: Maximum speed.
        precise: Whether to reach it to millimetres.
        within_m: Position tolerance, if not the default for `precise`.
    """

    pose: Pose
    speed_m_s: float
    precise: bool = False
    within_m: float | None = None


@dataclass(frozen=True)
class Grip:
    """Close or open the gripper and wait until it has done so."""

    closed: bool


Look = Callable[[], Cell]
Script = Iterator[Move | Grip]


def reach(goal: Goal, look: Look, rng: np.random.Generator) -> Script:
    """Pick up the object that a goal names, and put it where the goal says."""
    if goal.is_inside:
        return _put_inside(goal, look, rng)
    return _put_on_field(goal, look, rng)


def _put_on_field(goal: Goal, look: Look, rng: np.random.Generator) -> Script:
    """Pick a cup up by its body and put it down on a field."""
    lowest = CUP.height_m - look().palm_m + _CLEARANCE_M

    def grasp() -> Pose:
        cup = look().object_pose(goal.moved)
        yaw = _nearest_turn(_yaw(cup.quaternion), _HANDLE_SLACK_RAD) + rng.normal(0.0, 0.05)
        x, y = cup.position[:2] + rng.normal(0.0, 0.002, 2)
        height = rng.uniform(0.056, 0.070)
        return tool_down(x, y, max(height, lowest), yaw)

    grasped = yield from _pick_up(look, rng, goal.moved, grasp)
    if grasped is not None:
        field = look().task.fields[goal.place]
        aside = rng.uniform(-0.5, 0.5, 2) * [field.half_x, field.half_y]
        middle = np.array([field.x, field.y, 0.0])
        yield from _put_down(look, rng, goal.moved, grasped, middle, aside)


def _put_inside(goal: Goal, look: Look, rng: np.random.Generator) -> Script:
    """Pick a bowl up by its rim, one finger inside, and put it down in a pot."""
    side = rng.uniform(-0.3, 0.3)  # 0: the left of the rim
    outwards = np.array([-math.sin(side), math.cos(side)])

    def grasp() -> Pose:
        height = rng.uniform(0.036, 0.041)
        radius = BOWL.inner_radius_m + BOWL.taper_m * height / BOWL.height_m
        middle = look().object_pose(goal.moved).position[:2]
        x, y = middle + radius * outwards + rng.normal(0.0, 0.001, 2)
        return tool_down(x, y, height, side)

    grasped = yield from _pick_up(look, rng, goal.moved, grasp)
    if grasped is not None:
        floor = look().object_pose(goal.place).position + np.array([0.0, 0.0, FLOOR_M])
        # Off-centre, so that the finger outside the bowl has room to open inside the pot.
        aside = -outwards * rng.uniform(0.018, 0.024)
        yield from _put_down(look, rng, goal.moved, grasped, floor, aside)


def go_home(look: Look, home: Pose) -> Script:
    """Open the gripper and go to the home pose, high enough to clear all objects."""
    if look().gripper_closure > 0.1:
        yield Grip(closed=False)
    tool = look().tcp_pose
    if np.linalg.norm(tool.position - home.position) < 0.03:
        return
    height = max(tool.position[2], 0.25)
    yield Move(Pose(np.array([*tool.position[:2], height]), tool.quaternion), HURRY_M_S)
    yield Move(home, HURRY_M_S, precise=True)


def tool_down(x: float, y: float, z: float, yaw: float) -> Pose:
    """Return `base_from_tcp` pointing down, its y axis turned by `yaw` [rad] from the base's -y."""
    cosine, sine = math.cos(yaw), math.sin(yaw)
    rotation = np.array([[cosine, sine, 0.0], [sine, -cosine, 0.0], [0.0, 0.0, -1.0]])
    return Pose(np.array([x, y, z]), quaternion_from_matrix(rotation))


def _pick_up(
    look: Look, rng: np.random.Generator, name: str, grasp: Callable[[], Pose]
) -> Generator[Move | Grip, None, Pose | None]:
    """Grasp and lift an object; return the grasp, or None after too many attempts."""
    for _ in range(_ATTEMPTS):
        pose = grasp()
        yield from _approach(rng, pose, rng.uniform(0.10, 0.14))
        yield Move(pose, _about(CARE_M_S, rng), precise=True)
        yield Grip(closed=True)
        standing = look().object_pose(name).position[2]
        yield Move(_raised(pose, rng.uniform(0.13, 0.17)), _about(0.18, rng))
        if look().object_pose(name).position[2] > standing + 0.05:
            return pose
        yield Grip(closed=False)
    return None


def _put_down(
    look: Look, rng: np.random.Generator, name: str, grasped: Pose, place: Array, aside: Array
) -> Script:
    """Carry an object to `place`, (3,) in [m], offset by `aside`, (2,), and release it there."""
    above = place + np.array([*aside, 0.0]) - _held(look, name)
    yield from _approach(rng, Pose(above, grasped.quaternion), rng.uniform(0.10, 0.13))
    # It may have slipped on the way: compute the tool's pose from where the object is now.
    release = place + np.array([*aside, rng.uniform(0.001, 0.003)]) - _held(look, name)
    low = Pose(release, grasped.quaternion)
    yield Move(low, _about(CARE_M_S, rng), precise=True)
    yield Grip(closed=False)
    yield Move(_raised(low, rng.uniform(0.12, 0.16)), _about(0.15, rng))


def _approach(rng: np.random.Generator, pose: Pose, height_m: float) -> Script:
    """Go above a pose as a hand does: a first aim, then a correction closer to it."""
    yield Move(_beside(_raised(pose, height_m), rng, _AIM_M), HURRY_M_S, within_m=_AIMED_M)
    closer = _raised(pose, rng.uniform(0.05, 0.07))
    yield Move(_beside(closer, rng, _LOOK_M), _about(0.14, rng), within_m=_LOOKED_M)


def _beside(pose: Pose, rng: np.random.Generator, most_m: float) -> Pose:
    """Return a pose displaced horizontally in a random direction by at most `most_m`."""
    distance_m, angle = most_m * rng.random(), rng.uniform(-math.pi, math.pi)
    offset = distance_m * np.array([math.cos(angle), math.sin(angle), 0.0])
    return Pose(pose.position + offset, pose.quaternion)


def _held(look: Look, name: str) -> Array:
    """Return an object's underside relative to the tool, in base axes, (3,) in [m]."""
    return look().object_pose(name).position - look().tcp_pose.position


def _raised(pose: Pose, height_m: float) -> Pose:
    return Pose(pose.position + np.array([0.0, 0.0, height_m]), pose.quaternion)


def _about(speed_m_s: float, rng: np.random.Generator) -> float:
    return speed_m_s * rng.uniform(0.8, 1.2)


def _yaw(quaternion: Array) -> float:
    x_axis = matrix_from_quaternion(quaternion)[:, 0]
    return math.atan2(x_axis[1], x_axis[0])


def _nearest_turn(yaw: float, slack: float) -> float:
    """Return the smallest turn within `slack` of `yaw`, modulo pi: the gripper is symmetric."""
    wrapped = (yaw + math.pi / 2) % math.pi - math.pi / 2
    return wrapped - min(max(wrapped, -slack), slack)
