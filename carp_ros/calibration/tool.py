"""The tool centre point by pivoting: its tip stays in one place while the arm turns around it.

For each pose, `base_from_flange @ tip_in_flange = tip_in_base`, both unknown: linear least squares.
It gives the tip's position; a tip has no orientation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from carp_ros.calibration import outliers
from carp_ros.calibration.transforms import matrix_from_pose
from carp_ros.errors import CalibrationError
from carp_ros.types import Array, Pose

LEAST_POSES = 5
_HARMLESS_M = 0.0005
_TRIPLES = 200
_WORST_CONDITION = 15.0


@dataclass(frozen=True)
class NamedPose:
    """A pose of the flange, `base_from_flange`, and its name as a person knows it."""

    name: str
    base_from_flange: Pose


@dataclass(frozen=True)
class ToolFit:
    """Where the tip is.

    Attributes:
        tip_m: In the flange frame, of shape (3,).
        pivot_m: In the base frame, of shape (3,).
        residual_mm: RMS distance of the tip from the pivot, over the poses used.
        pose_errors_mm: The same for each pose, by name, outliers included.
        outliers: Names of the poses that were left out because they disagree with the others.
        position_std_m: Standard error of `tip_m`, per axis: the largest of three.
    """

    tip_m: Array
    pivot_m: Array
    residual_mm: float
    pose_errors_mm: dict[str, float]
    outliers: tuple[str, ...]
    position_std_m: float


def calibrate_tool(poses: Sequence[NamedPose]) -> ToolFit:
    """Find the tip from poses in which it touched the same point.

    Raises:
        CalibrationError: If there are too few poses, they do not agree, or the tool was hardly
            tilted.
    """
    if len(poses) < LEAST_POSES:
        raise CalibrationError(
            f"{len(poses)} poses with the tip on the point; expected {LEAST_POSES} at least"
        )
    flanges = np.array([matrix_from_pose(pose.base_from_flange) for pose in poses])

    def fit_poses(used: outliers.Chosen) -> tuple[tuple[Array, Array], Array]:
        solution, information = _solved(flanges[used])
        return (solution, information), _errors_m(solution, flanges)

    (solution, information), errors_m, used = outliers.fit_agreeing(
        fit_poses,
        outliers.agreeing(_errors_m(_robust_start(flanges), flanges), _HARMLESS_M),
        [pose.name for pose in poses],
        harmless=_HARMLESS_M,
        least=LEAST_POSES,
    )
    # The pivot absorbs as much of an untilted tool's length as one likes.
    condition = float(np.sqrt(np.linalg.cond(information)))
    if condition > _WORST_CONDITION:
        raise CalibrationError(
            f"the tool was hardly tilted (condition number {condition:.0f}; expected"
            f" {_WORST_CONDITION:.0f} at most): tilt it by 30 deg or more, in several directions"
        )
    freedom = max(1, 3 * int(used.sum()) - 6)
    variance = float((errors_m[used] ** 2).sum()) / freedom
    covariance = variance * np.linalg.inv(information)
    return ToolFit(
        solution[:3],
        solution[3:],
        1e3 * float(np.sqrt((errors_m[used] ** 2).mean())),
        {pose.name: 1e3 * float(error) for pose, error in zip(poses, errors_m)},
        tuple(pose.name for pose, is_used in zip(poses, used) if not is_used),
        float(np.sqrt(np.diag(covariance)[:3].max())),
    )


def _solved(flanges: Array) -> tuple[Array, Array]:
    """Return tip and pivot, of shape (6,), and the matrix of the normal equations."""
    rows = np.concatenate([np.hstack([pose[:3, :3], -np.eye(3)]) for pose in flanges])
    solution = np.linalg.lstsq(rows, -flanges[:, :3, 3].ravel(), rcond=None)[0]
    return np.asarray(solution, np.float64), rows.T @ rows


def _errors_m(solution: Array, flanges: Array) -> Array:
    tips = flanges[:, :3, :3] @ solution[:3] + flanges[:, :3, 3]
    return np.linalg.norm(tips - solution[3:], axis=1)


def _robust_start(flanges: Array) -> Array:
    """Return the solution for that triple of poses which most poses agree with."""
    triples = list(combinations(range(len(flanges)), 3))
    if len(triples) > _TRIPLES:
        chosen = np.random.default_rng(0).choice(len(triples), _TRIPLES, replace=False)
        triples = [triples[number] for number in chosen]
    candidates = [_solved(flanges[list(triple)])[0] for triple in triples]
    return min(candidates, key=lambda tip: float(np.median(_errors_m(tip, flanges))))
