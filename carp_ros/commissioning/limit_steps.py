"""The steps that try limits by motion: a face of the box, the speed, a joint's stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carp_ros.commissioning.step import (
    SLOW,
    Cell,
    StepError,
    go_back,
    in_words,
    moved,
    roomiest,
)
from carp_ros.commissioning.timed_path import TimedPath
from carp_ros.reports.first_motion import Figure, StepName
from carp_ros.rig import LimitsConfig
from carp_ros.types import Array

_BEYOND = 0.4  # of `max_jump_m`: a plan that leaves the box further is refused
_SPARE_BEYOND_M = 0.03
_WITHIN_M = 0.005
_RUN_M, _LEAST_RUN_M, _SPARE_M = 0.08, 0.04, 0.02
_ASKED = 1.5  # of the speed limit
_SPEED_ERROR = 0.1
_TURN = 0.5  # of the angular speed limit
_BEYOND_STOP_RAD = 0.1
_WITHIN_RAD = 0.01
_ELBOW = " The elbow swings out, by up to 60 deg: keep clear of it."


@dataclass(frozen=True)
class BoxFaceStep:
    """Against the nearest face of the workspace box, other than the lowest."""

    name: StepName = StepName.BOX_FACE
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say which face, and how far away it is."""
        direction, face_m = nearest_face(cell.limits, cell.arm.reading().tool.position)
        beyond_m = _BEYOND * cell.limits.max_jump_m + _SPARE_BEYOND_M
        return (
            f"The tool moves {face_m * 1e3:.0f} mm along {in_words(direction)}, to the face of the"
            f" workspace box, and is asked to go on: it must stay at the face. Then it comes back."
            f" See that nothing is in the way, up to {beyond_m * 100:.0f} cm beyond that face."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Ask for a place outside the box, and measure where the tool stays."""
        start, limits = cell.arm.reading().tool, cell.limits
        direction, face_m = nearest_face(limits, start.position)
        shift = (face_m + _BEYOND * limits.max_jump_m) * direction
        speed = SLOW * limits.max_linear_speed_m_s
        way_m = moved(cell, TimedPath.straight(start, shift, speed)).along(direction)
        go_back(cell, start)
        return [
            Figure("beyond_the_face_m", float(way_m.max() - face_m), at_most=_WITHIN_M),
            Figure("short_of_the_face_m", float(face_m - way_m.max()), at_most=_WITHIN_M),
        ]


@dataclass(frozen=True)
class SpeedStep:
    """A motion that asks for more than the speed limit."""

    name: StepName = StepName.SPEED
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say where to, and how fast."""
        direction, run_m = run(cell)
        limit = cell.limits.max_linear_speed_m_s
        return (
            f"The tool is asked to move {run_m * 1e3:.0f} mm along {in_words(direction)} at"
            f" {_ASKED * limit * 1e3:.0f} mm/s: it must keep to {limit * 1e3:.0f} mm/s. Then it"
            " comes back slowly."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Ask for too much speed, and measure what comes."""
        start, limits = cell.arm.reading().tool, cell.limits
        direction, run_m = run(cell)
        limit = limits.max_linear_speed_m_s
        track = moved(cell, TimedPath.straight(start, run_m * direction, _ASKED * limit))
        go_back(cell, start)
        # a short way does not let a slowly accelerating arm reach the limit
        reachable = min(limit, math.sqrt(limits.max_linear_acceleration_m_s2 * run_m))
        return [
            Figure(
                "peak_speed_m_s",
                track.peak_speed_m_s,
                0.6 * reachable,
                (1.0 + _SPEED_ERROR) * limit,
            ),
            Figure("travelled_m", float(track.along(direction)[-1]), at_most=run_m + _WITHIN_M),
        ]


@dataclass(frozen=True)
class JointStopStep:
    """The last joint, towards its nearer stop."""

    name: StepName = StepName.JOINT_STOP
    is_needed: bool = False

    def plan(self, cell: Cell) -> str:
        """Say how far it turns, and warn of the cables."""
        reading = cell.arm.reading()
        turn_rad = way_to_stop_rad(cell, reading.joints)
        seconds = TimedPath.turned(reading.tool, np.array([0, 0, turn_rad]), _peak(cell)).seconds
        return (
            f"The last joint turns the tool by {math.degrees(turn_rad):+.0f} deg, to the margin"
            f" before its stop, is asked to go on, and comes back: about {2 * seconds:.0f} s. Watch"
            " the cables of gripper and camera: decline if they do not reach."
            + (_ELBOW if _is_redundant(cell) else "")
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Ask for an angle beyond the margin, and measure where every joint stays."""
        reading, arm = cell.arm.reading(), cell.arm
        turn_rad = way_to_stop_rad(cell, reading.joints)
        axis = cell.kinematics.jacobian(reading.joints)[3:, -1]
        beyond_rad = turn_rad + math.copysign(_BEYOND_STOP_RAD, turn_rad)
        track = moved(cell, TimedPath.turned(reading.tool, beyond_rad * axis, _peak(cell)))
        turned_rad = float(track.joints[-1, -1] - reading.joints[-1])
        moved(cell, TimedPath.turned(arm.reading().tool, -turned_rad * axis, _peak(cell)))
        margin = cell.limits.joint_margin_rad
        low = cell.kinematics.lower_rad + margin - track.joints.min(axis=0)
        high = track.joints.max(axis=0) - (cell.kinematics.upper_rad - margin)
        return [
            Figure("past_a_margin_rad", float(max(low.max(), high.max())), at_most=_WITHIN_RAD),
            Figure(
                "short_of_the_margin_rad",
                abs(turn_rad) - abs(turned_rad),
                # an elbow that swings out keeps the last joint off its stop
                at_most=None if _is_redundant(cell) else _BEYOND_STOP_RAD,
            ),
        ]


def nearest_face(limits: LimitsConfig, position: Array) -> tuple[Array, float]:
    """Return the direction to the nearest face of the box but the lowest, and its distance [m]."""
    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    faces = [(np.eye(3)[axis], float(high[axis] - position[axis])) for axis in range(3)]
    faces += [(-np.eye(3)[axis], float(position[axis] - low[axis])) for axis in range(2)]
    return min(faces, key=lambda face: face[1])


def run(cell: Cell) -> tuple[Array, float]:
    """Return a direction with room inside the box, and how far to go there in [m].

    Raises:
        StepError: If there is too little room.
    """
    direction, room_m = roomiest(cell.limits, cell.arm.reading().tool.position)
    run_m = min(_RUN_M, room_m - _SPARE_M)
    if run_m < _LEAST_RUN_M:
        raise StepError(
            f"there are {room_m * 1e3:.0f} mm of room along {in_words(direction)}; expected"
            f" {(_LEAST_RUN_M + _SPARE_M) * 1e3:.0f} mm at least: begin nearer to the middle of"
            " the box"
        )
    return direction, run_m


def way_to_stop_rad(cell: Cell, joints: Array) -> float:
    """Return how far the last joint is from the margin before its nearer stop, with its sign."""
    margin = cell.limits.joint_margin_rad
    up = float(cell.kinematics.upper_rad[-1] - margin - joints[-1])
    down = float(cell.kinematics.lower_rad[-1] + margin - joints[-1])
    return up if up < -down else down


def _is_redundant(cell: Cell) -> bool:
    return len(cell.rig.robot.joint_names) > 6


def _peak(cell: Cell) -> float:
    return _TURN * cell.limits.max_angular_speed_rad_s
