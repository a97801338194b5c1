"""A camera, an arm and a board with known truth, and views with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.hand_eye import ArmView
from carp_ros.calibration.projection import project
from carp_ros.calibration.transforms import (
    inverse,
    moved,
    pose_from_matrix,
    rotation_from_rotvec,
    transform,
)
from carp_ros.types import Array, Intrinsics

BOARD = Board()
SIZE_PX = (640, 480)
WRIST = transform(np.array([0.01, 0.09, 0.03]), np.array([-0.35, 0.05, 3.05]))
TRUE = Intrinsics(
    *SIZE_PX,
    np.array([[602.0, 0.0, 322.5], [0.0, 599.0, 236.1], [0.0, 0.0, 1.0]]),
    "cam_optical_frame",
    (-0.11, 0.06, 0.0008, -0.0006, 0.0),
)


def board_poses(rng: np.random.Generator, n: int) -> list[Array]:
    """Return `camera_from_board` of views that a careful person would take."""
    middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
    poses = []
    for _ in range(n):
        azimuth, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.15, 0.6)
        turn = rotation_from_rotvec(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
        turn = turn @ rotation_from_rotvec(np.array([0.0, 0.0, rng.uniform(-0.6, 0.6)]))
        place = np.array(
            [rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05), rng.uniform(0.33, 0.5)]
        )
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, place - turn @ middle
        poses.append(pose)
    return poses


def view_of(
    name: str, camera_from_board: Array, rng: np.random.Generator, noise_px: float
) -> BoardView:
    points = BOARD.corners_m @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
    places = project(points, TRUE)[0]
    places = places + noise_px * rng.normal(size=places.shape)
    inside = ((places >= 0) & (places < np.array(SIZE_PX))).all(axis=1)
    return BoardView(name, np.flatnonzero(inside), places[inside])


@dataclass(frozen=True)
class Truth:
    """Views of the board, and the constants behind them."""

    views: list[ArmView]
    mount_from_camera: Array
    carrier_from_board: Array


def hand_eye_truth(
    seed: int,
    *,
    n: int = 15,
    is_fixed: bool = False,
    noise_px: float = 0.15,
    noise_m: float = 0.0003,
    noise_rad: float = np.radians(0.03),
) -> Truth:
    """Return noisy views of a board from a wrist camera, or of a board on the wrist."""
    rng = np.random.default_rng(seed)
    mount_from_camera = (
        transform(np.array([1.1, 0.4, 0.6]), np.array([1.2, -1.9, 0.7])) if is_fixed else WRIST
    )
    carrier_from_board = moved(
        transform(np.array([-0.1, 0.1, 0.2]), np.array([0.3, 2.0, 0.4]))
        if is_fixed
        else transform(np.array([0.35, -0.1, 0.0]), np.array([3.1, 0.2, 0.0])),
        0.1 * rng.normal(size=6),
    )
    views = []
    for number, seen in enumerate(board_poses(rng, n)):
        mount_from_carrier = mount_from_camera @ seen @ inverse(carrier_from_board)
        base_from_flange = mount_from_carrier if is_fixed else inverse(mount_from_carrier)
        noise = np.concatenate([noise_m * rng.normal(size=3), noise_rad * rng.normal(size=3)])
        views.append(
            ArmView(
                view_of(f"{number:02d}.png", seen, rng, noise_px),
                pose_from_matrix(moved(base_from_flange, noise)),
            )
        )
    return Truth(views, mount_from_camera, carrier_from_board)
