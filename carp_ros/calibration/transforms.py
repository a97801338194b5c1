"""Rigid transforms as matrices of shape (4, 4), which least squares is written in."""

from __future__ import annotations

import cv2
import numpy as np

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_matrix
from carp_ros.types import Array, Pose


def matrix_from_pose(pose: Pose) -> Array:
    """Return a pose as a matrix of shape (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = matrix_from_quaternion(pose.quaternion)
    matrix[:3, 3] = pose.position
    return matrix


def pose_from_matrix(matrix: Array) -> Pose:
    """Return a matrix of shape (4, 4) as a pose."""
    return Pose(matrix[:3, 3].copy(), quaternion_from_matrix(matrix[:3, :3]))


def inverse(matrix: Array) -> Array:
    """Return the inverse of a rigid transform."""
    rotation = matrix[:3, :3].T
    inverted = np.eye(4)
    inverted[:3, :3] = rotation
    inverted[:3, 3] = -rotation @ matrix[:3, 3]
    return inverted


def rotation_from_rotvec(rotvec: Array) -> Array:
    """Return the rotation matrix of shape (3, 3) of a rotation vector in [rad]."""
    return np.asarray(cv2.Rodrigues(np.asarray(rotvec, np.float64))[0], np.float64)


def rotvec_from_rotation(rotation: Array) -> Array:
    """Return the rotation vector in [rad], of shape (3,), of a rotation matrix."""
    return np.asarray(cv2.Rodrigues(rotation)[0], np.float64).ravel()


def transform(translation: Array, rotvec: Array) -> Array:
    """Return the transform of a translation in [m] and a rotation vector in [rad]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_rotvec(np.asarray(rotvec))
    matrix[:3, 3] = np.asarray(translation)
    return matrix


def moved(matrix: Array, step: Array) -> Array:
    """Return a transform after a step of shape (6,): translation, then rotation in its own axes."""
    return np.block(
        [
            [
                matrix[:3, :3] @ rotation_from_rotvec(step[3:]),
                (matrix[:3, 3] + step[:3])[:, None],
            ],
            [np.zeros((1, 3)), np.ones((1, 1))],
        ]
    )


def skew(vectors: Array) -> Array:
    """Return the matrices of shape (N, 3, 3) of the cross products with N vectors."""
    x, y, z = np.asarray(vectors).T
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), -1, 0)


def nearest_rotation(matrix: Array) -> Array:
    """Return the rotation nearest to a matrix of shape (3, 3), in the sense of Frobenius."""
    left, _, right = np.linalg.svd(matrix)
    return left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right


def mean_transform(matrices: Array) -> Array:
    """Return the mean of transforms of shape (N, 4, 4)."""
    mean = np.eye(4)
    mean[:3, :3] = nearest_rotation(matrices[:, :3, :3].sum(axis=0))
    mean[:3, 3] = matrices[:, :3, 3].mean(axis=0)
    return mean


def distance(a: Array, b: Array) -> tuple[float, float]:
    """Return how far two transforms are apart: [m], and [rad]."""
    turn = rotvec_from_rotation(nearest_rotation(a[:3, :3].T @ b[:3, :3]))
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])), float(np.linalg.norm(turn))
