"""Projection of board corners into a camera, and a board's pose from its corners in an image."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.transforms import transform
from carp_ros.types import Array, Intrinsics

_NOWHERE = np.zeros(3)


def project(points_m: Array, intrinsics: Intrinsics) -> tuple[Array, Array, Array]:
    """Project points in the camera's optical frame, distortion included.

    Args:
        points_m: Of shape (N, 3) in [m].
        intrinsics: Of the camera.

    Returns:
        Places in the image of shape (N, 2) in [px], and their derivatives: by the points, of shape
        (N, 2, 3) in [px/m], and by the lens, (N, 2, 8): fx, fy, cx, cy in [px], and k1, k2, p1, p2.
    """
    places, jacobian = cv2.projectPoints(
        np.ascontiguousarray(points_m, dtype=np.float64),
        _NOWHERE,
        _NOWHERE,
        intrinsics.matrix,
        np.array(intrinsics.distortion),
    )
    by_all = np.asarray(jacobian, np.float64).reshape(len(points_m), 2, -1)
    places = np.asarray(places, np.float64).reshape(-1, 2)
    return places, by_all[:, :, 3:6], by_all[:, :, 6:14]


def with_lens(intrinsics: Intrinsics, step: Array) -> Intrinsics:
    """Return intrinsics after a step of the lens, of shape (8,), as of `project`."""
    fx, fy, cx, cy, *of_distortion = step.tolist()
    matrix = intrinsics.matrix + np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 0.0]])
    k1, k2, p1, p2, k3 = np.array(intrinsics.distortion) + np.array([*of_distortion, 0.0])
    distortion = (float(k1), float(k2), float(p1), float(p2), float(k3))
    return dataclasses.replace(intrinsics, matrix=matrix, distortion=distortion)


def camera_from_board(view: BoardView, board: Board, intrinsics: Intrinsics) -> Array:
    """Return the board's pose in the camera, of shape (4, 4), that explains a view best."""
    points = board.corners_m[view.ids]
    matrix, distortion = intrinsics.matrix, np.array(intrinsics.distortion)
    # Of the two poses from which a plane looks alike, the first has the smaller residual.
    _, rotvecs, translations, _ = cv2.solvePnPGeneric(
        points, view.corners_px, matrix, distortion, flags=cv2.SOLVEPNP_IPPE
    )
    rotvec, translation = cv2.solvePnPRefineLM(
        points, view.corners_px, matrix, distortion, rotvecs[0], translations[0]
    )
    return transform(*(np.asarray(x, np.float64).ravel() for x in (translation, rotvec)))


def view_error_px(
    view: BoardView, board: Board, intrinsics: Intrinsics, camera_from_board: Array
) -> Array:
    """Return seen minus projected corners, of shape (N, 2) in [px]."""
    rotation, translation = camera_from_board[:3, :3], camera_from_board[:3, 3]
    points = board.corners_m[view.ids] @ rotation.T + translation
    return view.corners_px - project(points, intrinsics)[0]


def rms(errors: Array) -> float:
    """Return the root mean square length of vectors of shape (N, D)."""
    return float(np.sqrt((errors**2).sum(axis=-1).mean()))
