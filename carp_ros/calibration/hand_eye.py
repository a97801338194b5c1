"""Where a camera is: on the wrist (hand-eye), or fixed beside the arm (camera-to-base).

Both are one problem. The camera is fixed to one end of the arm, its *mount* (flange or base), and
the board to the other end, its *carrier* (base or flange). For each view i, the arm gives
`mount_from_carrier` and the image gives `camera_from_board`:

    camera_from_board[i] = mount_from_camera^-1 @ mount_from_carrier[i] @ carrier_from_board

Both constant transforms are unknown. They start from the closed form of Park and Martin (1994),
"Robot sensor calibration: solving AX = XB on the Euclidean group", on random triples of views, of
which the one with the smallest median error is kept (Rousseeuw, 1984): a wrong view can't spoil it.
Then both minimise the reprojection error of all views that agree (Tabb and Ahmad Yousef, 2017).
An error of the arm moves all corners of a view together, by more than the corners' own noise, so
the errors of a view are weighted by the inverse of their covariance: plain least squares of the
pixels, tried on synthetic views, has errors several times larger. The lens is an unknown, too,
within the error of its calibration: a focal length wrong by 0.3 % shifts a camera by 2 mm in 0.7 m.

OpenCV's `calibrateHandEye` is not used: version 5.0 lacks it, 4.x ignores its `method` when given
by position, and neither refuses wrong views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration import outliers
from carp_ros.calibration.arm_problem import (
    ArmProblem,
    Constants,
    ViewResidual,
    WeightedFit,
)
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.projection import rms
from carp_ros.calibration.transforms import (
    inverse,
    matrix_from_pose,
    mean_transform,
    nearest_rotation,
    pose_from_matrix,
    rotvec_from_rotation,
)
from carp_ros.errors import CalibrationError
from carp_ros.refusal import refusing
from carp_ros.types import Array, Intrinsics, Pose

LEAST_VIEWS = 6
_TRIPLES = 80
_HARMLESS = 1.0  # in units of `ARM_STD`
_WORST_SCALE = 10.0
_LEAST_TURN_RAD = 0.17  # about the second axis, RMS over the views


@dataclass(frozen=True)
class ArmView:
    """A view of the board, and where the arm's flange was: `base_from_flange`."""

    view: BoardView
    base_from_flange: Pose


@dataclass(frozen=True)
class HandEyeFit:
    """Where a camera and a board are.

    Attributes:
        mount_from_camera: `flange_from_camera`, or `base_from_camera` of a fixed camera.
        carrier_from_board: `base_from_board`, or `flange_from_board`.
        intrinsics: Those that fit the arm's motion, too; within the error of the given ones.
        residual: RMS over the views used.
        view_residuals: Of each view, by name, outliers included.
        outliers: Names of the views that were left out because they disagree with the others.
        position_std_m, rotation_std_rad: Standard error of `mount_from_camera`, per axis: the
            largest of three. What is not known of the lens is in it.
    """

    mount_from_camera: Pose
    carrier_from_board: Pose
    intrinsics: Intrinsics
    residual: ViewResidual
    view_residuals: dict[str, ViewResidual]
    outliers: tuple[str, ...]
    position_std_m: float
    rotation_std_rad: float


def calibrate_wrist_camera(
    views: Sequence[ArmView],
    board: Board,
    intrinsics: Intrinsics,
    lens_std_px: tuple[float, float] | None = None,
) -> HandEyeFit:
    """Find `flange_from_camera`; the board lies still while the arm moves the camera.

    Args:
        views: At least six, better 15.
        board: The board.
        intrinsics: Of the camera.
        lens_std_px: Standard errors of its focal lengths and its principal point; None if they are
            exact.

    Raises:
        CalibrationError: If there are too few views, they do not agree, or the arm turned about
            less than two axes.
    """
    mounts = [inverse(matrix_from_pose(view.base_from_flange)) for view in views]
    seen = [view.view for view in views]
    return _calibrate(np.array(mounts), seen, board, intrinsics, lens_std_px, is_on_wrist=True)


def calibrate_fixed_camera(
    views: Sequence[ArmView],
    board: Board,
    intrinsics: Intrinsics,
    lens_std_px: tuple[float, float] | None = None,
) -> HandEyeFit:
    """Find `base_from_camera`; the camera stands still while the arm moves the board.

    Args:
        views: At least six, better 15.
        board: The board.
        intrinsics: Of the camera.
        lens_std_px: As of `calibrate_wrist_camera`.

    Raises:
        CalibrationError: As `calibrate_wrist_camera`.
    """
    mounts = [matrix_from_pose(view.base_from_flange) for view in views]
    seen = [view.view for view in views]
    return _calibrate(np.array(mounts), seen, board, intrinsics, lens_std_px, is_on_wrist=False)


def _calibrate(
    arm: Array,
    views: Sequence[BoardView],
    board: Board,
    intrinsics: Intrinsics,
    lens_std_px: tuple[float, float] | None,
    *,
    is_on_wrist: bool,
) -> HandEyeFit:
    """Solve; `arm` is `mount_from_carrier` of each view, of shape (N, 4, 4)."""
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(
            f"{len(views)} views with the board in them; expected {LEAST_VIEWS} at least, better 15"
        )
    for number in range(len(arm)):  # a single view may be wrong, and is no second axis then
        _require_turns(np.delete(arm, number, axis=0))
    problem = ArmProblem(arm, views, board, intrinsics, is_on_wrist, lens_std_px)
    seen = problem.seen(intrinsics)
    noise_px = problem.noise_px(seen)
    start = WeightedFit(_robust_start(arm, seen, board), 1.0, np.eye(20))

    def fit_views(used: outliers.Chosen) -> tuple[WeightedFit, Array]:
        with refusing(CalibrationError, "the views do not determine where the camera is"):
            found = problem.fit(start, np.flatnonzero(used), noise_px)
        return found, problem.arm_errors(found, noise_px)

    fit, _, used = outliers.fit_agreeing(
        fit_views,
        outliers.agreeing(problem.arm_errors(start, noise_px), _HARMLESS),
        [view.name for view in views],
        harmless=_HARMLESS,
        least=LEAST_VIEWS,
    )
    _require_turns(arm[used])  # a view that was left out may have been the only one that turned
    constants = fit.constants
    residuals = problem.residuals(constants)
    kept = [residual for residual, is_used in zip(residuals, used) if is_used]
    px, mm, deg = (rms(np.array([[getattr(k, n)] for k in kept])) for n in ("px", "mm", "deg"))
    if fit.arm_scale > _WORST_SCALE:
        raise CalibrationError(
            f"the views agree within {px:.1f} px, {mm:.0f} mm and {deg:.1f} deg only; expected"
            " a few mm and tenths of a degree. Has each image its own pose, of the flange, in the"
            " base frame, in [m], and is the board's layout the printed one?"
        )
    stds = np.sqrt(np.diag(np.linalg.inv(fit.information)))
    return HandEyeFit(
        pose_from_matrix(constants.camera),
        pose_from_matrix(constants.board),
        problem.lens_of(constants),
        ViewResidual(px, mm, deg),
        {view.name: residual for view, residual in zip(views, residuals)},
        tuple(view.name for view, is_used in zip(views, used) if not is_used),
        float(stds[:3].max()),
        float(stds[3:6].max()),
    )


def _robust_start(arm: Array, seen: Array, board: Board) -> Constants:
    """Return the closed form of that triple of views which most views agree with."""
    triples = list(combinations(range(len(seen)), 3))
    if len(triples) > _TRIPLES:
        chosen = np.random.default_rng(0).choice(len(triples), _TRIPLES, replace=False)
        triples = [triples[number] for number in chosen]
    candidates = [_closed_form(arm[list(triple)], seen[list(triple)]) for triple in triples]
    width, height = board.width_m, board.height_m
    outer = np.array([[0, 0, 0, 1], [width, 0, 0, 1], [0, height, 0, 1], [width, height, 0, 1]]).T
    places = _directions(seen @ outer)

    def median(constants: Constants) -> float:
        apart = _directions(constants.camera_from_board(arm) @ outer) - places
        return float(np.median(np.nan_to_num((apart**2).sum(axis=(1, 2)), nan=np.inf)))

    return min(candidates, key=median)


def _directions(points: Array) -> Array:
    """Return homogeneous points, of shape (N, 4, P), divided by their depth, (N, 2, P)."""
    depth = points[:, 2:3]
    return points[:, :2] / np.where(np.abs(depth) > 1e-6, depth, 1e-6)


def _closed_form(arm: Array, seen: Array) -> Constants:
    """Solve AX = XB for three views or more, by Park and Martin's equations 15 and 21."""
    pairs = list(combinations(range(len(seen)), 2))
    arm_turns = [arm[j] @ inverse(arm[i]) for i, j in pairs]
    camera_turns = [seen[j] @ inverse(seen[i]) for i, j in pairs]
    a = np.array([rotvec_from_rotation(turn[:3, :3]) for turn in arm_turns])
    b = np.array([rotvec_from_rotation(turn[:3, :3]) for turn in camera_turns])
    rotation = nearest_rotation(a.T @ b)
    equations = np.concatenate([turn[:3, :3] - np.eye(3) for turn in arm_turns])
    wanted = np.concatenate(
        [
            rotation @ b_turn[:3, 3] - a_turn[:3, 3]
            for a_turn, b_turn in zip(arm_turns, camera_turns)
        ]
    )
    camera = np.eye(4)
    camera[:3, :3] = rotation
    camera[:3, 3] = np.linalg.lstsq(equations, wanted, rcond=None)[0]
    boards = np.array([inverse(arm[i]) @ camera @ seen[i] for i in range(len(seen))])
    return Constants(camera, mean_transform(boards))


def _require_turns(arm: Array) -> None:
    """Check that the arm turned about two axes; else the camera's place along one is free."""
    middle = mean_transform(arm)[:3, :3]
    turns = np.array([rotvec_from_rotation(middle.T @ pose[:3, :3]) for pose in arm])
    second = float(np.linalg.svd(turns - turns.mean(axis=0), compute_uv=False)[1])
    second_rad = second / np.sqrt(len(arm))
    if second_rad < _LEAST_TURN_RAD:
        raise CalibrationError(
            f"the arm turned about one axis only (about the second by {np.degrees(second_rad):.1f}"
            f" deg RMS); expected {np.degrees(_LEAST_TURN_RAD):.0f} deg or more: tilt the tool"
            " about two axes by 20 to 40 deg between views"
        )
