"""Forward kinematics without a kinematics library, for code that must not wait for its import.

The servo uses `control/kinematics.py`, which is much faster and has a Jacobian; both use the data
of one `Robot`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_matrix
from carp_ros.robots import Origin, Robot
from carp_ros.types import Array, Pose


def tcp_pose(robot: Robot, flange_from_tcp: Pose, joints: Sequence[float]) -> Pose:
    """Return `base_from_tcp` for joint positions in [rad]."""
    base_from_here = np.eye(4)
    for origin, angle in zip(robot.origins, joints):
        base_from_here = base_from_here @ _from_origin(origin) @ _about_z(angle)
    last_from_tcp = _from_origin(robot.flange) @ _from_pose(flange_from_tcp)
    base_from_tcp = base_from_here @ last_from_tcp
    return Pose(base_from_tcp[:3, 3].copy(), quaternion_from_matrix(base_from_tcp[:3, :3]))


def longest_reach_m(robot: Robot, flange_from_tcp: Pose) -> float:
    """Return the TCP's distance from the base if all links lay in a line: an upper bound."""
    links = [*(origin.xyz for origin in robot.origins), robot.flange.xyz]
    tool_m = float(np.linalg.norm(flange_from_tcp.position))
    return sum(math.hypot(*link) for link in links) + tool_m


def _from_origin(origin: Origin) -> Array:
    roll, pitch, yaw = origin.rpy
    matrix = np.eye(4)
    matrix[:3, :3] = _about_z(yaw)[:3, :3] @ _about_y(pitch) @ _about_x(roll)
    matrix[:3, 3] = origin.xyz
    return matrix


def _from_pose(pose: Pose) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_quaternion(pose.quaternion)
    matrix[:3, 3] = pose.position
    return matrix


def _about_x(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _about_y(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _about_z(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    return matrix
