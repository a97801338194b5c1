"""Rotations and poses. Quaternions are xyzw; in products, adjacent frames cancel, right to left.

What the servo computes every tick is written in plain numbers, which for so few of them is several
times faster than arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carp_ros.types import Array, Pose


def quaternion_multiply(a: Array, b: Array) -> Array:
    """Return the rotation that applies `b` first, then `a`; both xyzw of shape (4,)."""
    return np.array(_product(a.tolist(), b.tolist()))


def quaternion_conjugate(q: Array) -> Array:
    """Return the inverse of a unit quaternion."""
    return np.array([-q[0], -q[1], -q[2], q[3]])


def quaternion_from_rotvec(rotvec: Array) -> Array:
    """Return the rotation by |rotvec| [rad] about rotvec, of shape (3,)."""
    x, y, z = rotvec.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    # sin(a/2)/a, by its series if a is so small that the quotient loses precision
    scale = math.sin(0.5 * angle) / angle if angle > 1e-6 else 0.5 - angle * angle / 48.0
    return np.array([x * scale, y * scale, z * scale, math.cos(0.5 * angle)])


def rotvec_from_quaternion(q: Array) -> Array:
    """Return the rotation vector in [rad] of the shorter rotation, of shape (3,)."""
    return np.array(_rotvec(*q.tolist()))


def rotation_between(start: Array, end: Array) -> Array:
    """Return the rotation vector in the base frame that turns quaternion `start` into `end`."""
    return np.array(_turn(start.tolist(), end.tolist()))


def slerp(start: Array, end: Array, fraction: float) -> Array:
    """Return the quaternion at `fraction` of the shorter rotation from `start` to `end`."""
    turn = quaternion_from_rotvec(rotation_between(start, end) * fraction)
    return quaternion_multiply(turn, start)


def matrix_from_quaternion(q: Array) -> Array:
    """Return the rotation matrix of shape (3, 3)."""
    x, y, z, w = (q / np.linalg.norm(q)).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(matrix: Array) -> Array:
    """Return the xyzw quaternion, w not negative, of a rotation matrix of shape (3, 3)."""
    m = matrix
    # Shepperd's method: divide by the largest of the four components, never by a small one.
    four_squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(four_squares))
    xy, xz, yz = m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    xw, yw, zw = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    row = (
        (four_squares[0], xy, xz, xw),
        (xy, four_squares[1], yz, yw),
        (xz, yz, four_squares[2], zw),
        (xw, yw, zw, four_squares[3]),
    )[largest]
    q = np.array(row) / (2.0 * math.sqrt(four_squares[largest]))
    return q if q[3] >= 0.0 else -q


def compose(parent_from_child: Pose, child_from_tip: Pose) -> Pose:
    """Return `parent_from_tip`."""
    rotation = matrix_from_quaternion(parent_from_child.quaternion)
    return Pose(
        parent_from_child.position + rotation @ child_from_tip.position,
        quaternion_multiply(parent_from_child.quaternion, child_from_tip.quaternion),
    )


def invert(parent_from_child: Pose) -> Pose:
    """Return `child_from_parent`."""
    quaternion = quaternion_conjugate(parent_from_child.quaternion)
    return Pose(-matrix_from_quaternion(quaternion) @ parent_from_child.position, quaternion)


def pose_difference(start: Pose, end: Pose) -> Array:
    """Return `end` minus `start`, of shape (6,): [m], then a base-frame rotvec [rad]."""
    x, y, z = start.position.tolist()
    to_x, to_y, to_z = end.position.tolist()
    turn = _turn(start.quaternion.tolist(), end.quaternion.tolist())
    return np.array((to_x - x, to_y - y, to_z - z, *turn))


def rot6d_from_quaternion(q: Array) -> Array:
    """Return the first two columns of the rotation matrix, stacked, of shape (6,).

    Source: Zhou et al., "On the Continuity of Rotation Representations in Neural Networks" (2019).
    """
    return matrix_from_quaternion(q)[:, :2].T.reshape(6)


def rot6d_error(rot6d: Array) -> Array:
    """Return how far stacked columns, of shape (N, 6), are from orthonormal ones, of shape (N,)."""
    x, y = rot6d[:, :3], rot6d[:, 3:]
    products = [(x * x).sum(axis=1) - 1.0, (y * y).sum(axis=1) - 1.0, (x * y).sum(axis=1)]
    return np.asarray(np.abs(np.array(products)).max(axis=0), np.float64)


def quaternion_from_rot6d(rot6d: Array) -> Array:
    """Return the quaternion of the frame obtained from a `rot6d` of shape (6,) by Gram-Schmidt."""
    x = rot6d[:3] / np.linalg.norm(rot6d[:3])
    y = rot6d[3:] - x * (x @ rot6d[3:])
    y /= np.linalg.norm(y)
    return quaternion_from_matrix(np.stack([x, y, np.cross(x, y)], axis=1))


_Numbers = tuple[float, ...]


def _product(a: Sequence[float], b: Sequence[float]) -> _Numbers:
    """Return the quaternion that applies `b` first, then `a`."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def _rotvec(x: float, y: float, z: float, w: float) -> _Numbers:
    """Return the rotation vector of a quaternion, for the shorter rotation."""
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(sine, w) / sine if sine > 1e-9 else 2.0 / w
    return x * scale, y * scale, z * scale


def _turn(start: Sequence[float], end: Sequence[float]) -> _Numbers:
    """Return the rotation vector that turns quaternion `start` into `end`."""
    x, y, z, w = start
    return _rotvec(*_product(end, (-x, -y, -z, w)))
