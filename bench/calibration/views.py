"""Views of a board in the cell, from random poses or from those that the guide asks for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector, BoardView, Image
from carp_ros.calibration.coverage import NextView, Tilt, Turn, coverage_of, next_view
from carp_ros.calibration.projection import camera_from_board
from carp_ros.calibration.transforms import (
    inverse,
    matrix_from_pose,
    moved,
    pose_from_matrix,
    rotation_from_rotvec,
)
from carp_ros.control.kinematics import IkError, Kinematics
from carp_ros.rig import Rig
from carp_ros.sim.board import BoardProps
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.types import Array, Pose

BOARD = Board()
SIZE_PX = (640, 480)
ARM_STD_M, ARM_STD_RAD = 0.0005, float(np.radians(0.05))
_AT_FLANGE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
_LEAST_HEIGHT_M = 0.03
_LEAST_CORNERS = 20
_NEXT_TO_HOME_RAD = 2.0
_IMAGE_NOISE = 2.0  # grey levels
_TRIES = 8  # then a person goes elsewhere
_AZIMUTHS = {
    Tilt.BOTTOM_AWAY: 0.0,
    Tilt.TOP_AWAY: np.pi,
    Tilt.LEFT_AWAY: np.pi / 2,
    Tilt.RIGHT_AWAY: -np.pi / 2,
}
_TURNS = {Turn.NONE: 0.0, Turn.CLOCKWISE: 1.05, Turn.ANTICLOCKWISE: -1.05}


@dataclass(frozen=True)
class CellView:
    """A view, the picture behind it, and the true pose of the flange, of shape (4, 4)."""

    view: BoardView
    image: Image
    base_from_flange: Array


class CalibrationCell:
    """A cell with a board and one camera, at 640 x 480.

    Args:
        rig: The simulated rig.
        camera: `wrist_cam`, with the board on the table, or `third_cam`, with the board in the
            gripper.
    """

    def __init__(self, rig: Rig, camera: str) -> None:
        config = rig.cameras[camera]
        width, height = SIZE_PX
        sized = dataclasses.replace(config, width_px=width, height_px=height)
        self.rig = dataclasses.replace(rig, cameras={camera: sized})
        self.camera, self._is_on_wrist = camera, camera == "wrist_cam"
        self._kinematics = Kinematics(rig.robot, _AT_FLANGE)
        self._home = np.array(rig.home_joints_rad)
        self._home_flange = matrix_from_pose(self._kinematics.tcp_pose(self._home))
        pose = on_the_table(BOARD) if self._is_on_wrist else self._in_the_gripper()
        props = BoardProps(BOARD, pose_from_matrix(pose), in_gripper=not self._is_on_wrist)
        self.cell = Cell(self.rig, props, visuals=True)
        self.cameras = Cameras(self.cell)
        self.intrinsics = self.cameras.intrinsics(camera)
        self._carrier_from_board = pose
        camera_pose = matrix_from_pose(self.cameras.base_from_camera(camera))
        self.mount_from_camera = (
            inverse(self._home_flange) @ camera_pose if self._is_on_wrist else camera_pose
        )
        self._detector = BoardDetector(BOARD)

    def views(self, rng: np.random.Generator, n: int, *, is_guided: bool = False) -> list[CellView]:
        """Return `n` views with at least half of the board in them.

        Args:
            rng: Source of poses and noise.
            n: Number of views.
            is_guided: Whether to go where the guide of `carp calibrate --live` asks to, as exactly
                as a person does; where the arm can't reach that, and otherwise, to a random pose.
        """
        found: list[CellView] = []
        poses: list[Array] = []
        failed = 0
        while len(found) < n:
            if is_guided and failed < _TRIES:
                coverage = coverage_of([view.view for view in found], SIZE_PX)
                pose = self._asked(next_view(coverage, poses, needs_turns=True), rng)
            else:
                pose = self._random(rng)
            view = self._taken(f"view_{len(found):02d}.png", pose, rng)
            if view is None:
                failed += 1
                continue
            found.append(view)
            poses.append(camera_from_board(view.view, BOARD, self.intrinsics))
            failed = 0
        return found

    def detect(self, name: str, image: Image) -> BoardView | None:
        """Return the board in an image."""
        return self._detector.detect(name, image)

    def close(self) -> None:
        """Release the OpenGL context."""
        self.cameras.close()

    def _taken(self, name: str, pose: Array, rng: np.random.Generator) -> CellView | None:
        """Return the view at which the board has a pose in the camera; None if there is none."""
        flange = (
            self._carrier_from_board @ inverse(pose) @ inverse(self.mount_from_camera)
            if self._is_on_wrist
            else self.mount_from_camera @ pose @ inverse(self._carrier_from_board)
        )
        try:
            joints = self._kinematics.solve(pose_from_matrix(flange), self._home)
        except IkError:
            return None
        tip_height_m = (flange @ matrix_from_pose(self.rig.tool.flange_from_tcp))[2, 3]
        is_near_home = np.abs(joints - self._home).max() < _NEXT_TO_HOME_RAD
        if not is_near_home or tip_height_m <= _LEAST_HEIGHT_M:
            return None
        self.cell.place_arm(joints)
        image = self.cameras.render(self.camera)
        noisy = image + _IMAGE_NOISE * rng.normal(size=image.shape)
        image = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        view = self._detector.detect(name, image)
        if view is None or len(view.ids) < _LEAST_CORNERS:
            return None
        return CellView(view, image, flange)

    def _random(self, rng: np.random.Generator) -> Array:
        """Return a random `camera_from_board`."""
        azimuth, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.1, 0.65)
        turn = rng.uniform(-0.5, 0.5)
        distance_m = self._distance_m(rng)
        wide = np.array(SIZE_PX) * rng.uniform(-0.25, 0.25, 2)
        return self._pose(azimuth, tilt, turn, distance_m, wide)

    def _asked(self, wanted: NextView, rng: np.random.Generator) -> Array:
        """Return a `camera_from_board` about as the guide asks for."""
        if wanted.tilt is Tilt.NONE:
            azimuth, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.0, 0.15)
        else:
            azimuth, tilt = _AZIMUTHS[wanted.tilt] + rng.uniform(-0.4, 0.4), rng.uniform(0.35, 0.7)
        turn = _TURNS[wanted.turn or Turn.NONE] + rng.uniform(-0.3, 0.3)
        middle = np.array(wanted.place_px) - np.array(SIZE_PX) / 2
        off = middle + np.array(SIZE_PX) * rng.uniform(-0.08, 0.08, 2)
        return self._pose(azimuth, tilt, turn, self._distance_m(rng), off)

    def _distance_m(self, rng: np.random.Generator) -> float:
        return rng.uniform(0.3, 0.45) if self._is_on_wrist else rng.uniform(0.5, 0.8)

    def _pose(
        self, azimuth: float, tilt: float, turn: float, distance_m: float, off_px: Array
    ) -> Array:
        """Return `camera_from_board`: tilted about an axis in the image, and turned about its own.

        Args:
            azimuth: Direction of the axis, from x to y.
            tilt: Angle about it.
            turn: Angle about the board's own axis.
            distance_m: Depth of the board's middle.
            off_px: Where its middle is seen, of shape (2,), from the image's middle.
        """
        axis = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        pose = np.eye(4)
        pose[:3, :3] = rotation_from_rotvec(tilt * axis) @ rotation_from_rotvec(
            np.array([0.0, 0.0, turn])
        )
        middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
        sideways = off_px / self.intrinsics.matrix[0, 0]
        pose[:3, 3] = distance_m * np.array([*sideways, 1.0]) - pose[:3, :3] @ middle
        return pose

    def _in_the_gripper(self) -> Array:
        """Return `flange_from_board`, facing the third camera when the arm is at home."""
        towards = np.array([0.75, 0.42, 0.5])
        towards /= np.linalg.norm(towards)
        right = np.cross(np.array([0.0, 0.0, 1.0]), towards)
        right /= np.linalg.norm(right)
        turn = np.column_stack([right, np.cross(-towards, right), -towards])
        tip = (self._home_flange @ matrix_from_pose(self.rig.tool.flange_from_tcp))[:3, 3]
        middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
        pose = np.eye(4)
        pose[:3, :3] = turn
        pose[:3, 3] = tip + 0.08 * towards - turn @ middle
        return inverse(self._home_flange) @ pose


def on_the_table(board: Board) -> Array:
    """Return `base_from_board`: face up in the middle of the table, long side along y."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = [0.48 + board.height_m / 2, board.width_m / 2, 0.003]
    return pose


def with_arm_noise(view: CellView, rng: np.random.Generator, std_m: float, std_rad: float) -> Array:
    """Return `base_from_flange` as an inaccurate arm reports it."""
    noise = np.concatenate([std_m * rng.normal(size=3), std_rad * rng.normal(size=3)])
    return moved(view.base_from_flange, noise)
