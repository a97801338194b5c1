"""A camera's focal lengths, principal point and distortion, from views of a board.

The model is ROS's `plumb_bob`. Its k3 stays zero by default: with some dozen views of an ordinary
lens it fits noise, and the focal length with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration import outliers
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.projection import camera_from_board, rms, view_error_px
from carp_ros.errors import CalibrationError
from carp_ros.refusal import refusing
from carp_ros.types import Array, Intrinsics

LEAST_VIEWS = 6
_HARMLESS_PX = 0.3
_FEWS = 16  # sets of six views: of 15 views with two bad ones, most likely six sets have none
_LEAST_TILT_RAD = 0.25


@dataclass(frozen=True)
class IntrinsicsFit:
    """A camera's calibration.

    Attributes:
        intrinsics: The camera's projection.
        residual_px: RMS distance between seen and projected corners, over the views used.
        view_errors_px: The same for each view, by name, outliers included.
        outliers: Names of the views that were left out because they disagree with the others.
        focal_std_px: Standard error of the focal lengths.
        centre_std_px: Standard error of the principal point.
    """

    intrinsics: Intrinsics
    residual_px: float
    view_errors_px: dict[str, float]
    outliers: tuple[str, ...]
    focal_std_px: float
    centre_std_px: float


def calibrate_intrinsics(
    views: Sequence[BoardView],
    board: Board,
    size_px: tuple[int, int],
    frame: str,
    *,
    with_k3: bool = False,
) -> IntrinsicsFit:
    """Calibrate a camera from views of a board at different places and angles.

    Args:
        views: One per image.
        board: The board in them.
        size_px: Width and height of the images.
        frame: Name of the camera's optical frame.
        with_k3: Whether to estimate the third radial coefficient, for wide-angle lenses.

    Raises:
        CalibrationError: If there are too few views, they do not agree, or the board was never
            tilted, which leaves the focal length undetermined.
    """
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(
            f"{len(views)} views of the board; expected {LEAST_VIEWS} at least, better 15"
        )

    def fit_views(used: outliers.Chosen) -> tuple[tuple[Intrinsics, Array], Array]:
        chosen = _chosen(views, used)
        intrinsics, stds = _fit(chosen, board, size_px, frame, with_k3)
        return (intrinsics, stds), np.array([_error_px(v, board, intrinsics) for v in views])

    (intrinsics, stds), errors, used = outliers.fit_agreeing(
        fit_views,
        _robust_start(views, board, size_px, frame),
        [view.name for view in views],
        harmless=_HARMLESS_PX,
        least=LEAST_VIEWS,
        factor=outliers.FACTOR_OF_MANY,
    )
    _require_tilt(_chosen(views, used), board, intrinsics)
    return IntrinsicsFit(
        intrinsics,
        float(np.sqrt((errors[used] ** 2).mean())),
        {view.name: float(error) for view, error in zip(views, errors)},
        tuple(view.name for view in _chosen(views, ~used)),
        float(stds[:2].max()),
        float(stds[2:4].max()),
    )


def _robust_start(
    views: Sequence[BoardView], board: Board, size_px: tuple[int, int], frame: str
) -> outliers.Chosen:
    """Return the views that agree with those few which most views agree with.

    A fit to all views gives way to a wrong one, which then is not conspicuous any more.
    """
    rng = np.random.default_rng(0)
    best = np.full(len(views), np.inf)
    for _ in range(_FEWS):
        few = rng.choice(len(views), LEAST_VIEWS, replace=False)
        try:
            found, _ = _fit([views[number] for number in few], board, size_px, frame, False)
        except CalibrationError:
            continue  # a few views may not determine the camera
        errors = np.array([_error_px(view, board, found) for view in views])
        if np.median(errors) < np.median(best):
            best = errors
    if np.isinf(best).any():
        return np.ones(len(views), dtype=bool)
    return outliers.agreeing(best, _HARMLESS_PX, outliers.FACTOR_OF_MANY)


def _chosen(views: Sequence[BoardView], used: outliers.Chosen) -> list[BoardView]:
    return [view for view, is_used in zip(views, used) if is_used]


def _fit(
    views: Sequence[BoardView],
    board: Board,
    size_px: tuple[int, int],
    frame: str,
    with_k3: bool,
) -> tuple[Intrinsics, Array]:
    """Return the intrinsics that fit these views best, and their standard errors."""
    corners = board.corners_m.astype(np.float32)
    with refusing(CalibrationError, "the views do not determine the camera"):
        _, matrix, distortion, _, _, stds, _, _ = cv2.calibrateCameraExtended(
            [corners[view.ids] for view in views],
            [view.corners_px.astype(np.float32) for view in views],
            size_px,
            np.eye(3),
            np.zeros(5),
            flags=0 if with_k3 else cv2.CALIB_FIX_K3,
        )
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0.0 and matrix[1, 1] > 0.0):
            raise CalibrationError("no finite focal length; tilt the board more, each view anew")
    k1, k2, p1, p2, k3 = np.asarray(distortion).ravel()[:5].tolist()
    width, height = size_px
    return (
        Intrinsics(width, height, np.asarray(matrix, np.float64), frame, (k1, k2, p1, p2, k3)),
        np.asarray(stds, np.float64).ravel(),
    )


def _error_px(view: BoardView, board: Board, intrinsics: Intrinsics) -> float:
    """Return the RMS error of a view at the board's pose that explains it best."""
    pose = camera_from_board(view, board, intrinsics)
    return rms(view_error_px(view, board, intrinsics, pose))


def _require_tilt(views: Sequence[BoardView], board: Board, intrinsics: Intrinsics) -> None:
    """Check that the board was tilted: parallel planes do not determine a focal length."""
    normals = np.array([camera_from_board(view, board, intrinsics)[:3, 2] for view in views])
    widest_rad = float(np.arccos(np.clip((normals @ normals.T).min(), -1.0, 1.0)))
    if widest_rad < _LEAST_TILT_RAD:
        raise CalibrationError(
            f"the board is tilted by {np.degrees(widest_rad):.0f} deg between two views at most;"
            f" expected {np.degrees(_LEAST_TILT_RAD):.0f} deg or more: tilt it about both axes"
        )
