import dataclasses

import numpy as np
import pytest

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector
from carp_ros.calibration.projection import rms, view_error_px
from carp_ros.calibration.transforms import (
    inverse,
    matrix_from_pose,
    pose_from_matrix,
    transform,
)
from carp_ros.chain import tcp_pose
from carp_ros.sim.board import BODY, BoardProps
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.tasks import task_named

BOARD = Board(6, 4, 0.055, 0.042)
FACE_UP = transform(np.zeros(3), np.zeros(3))
FACE_UP[:3, :3] = [[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
FACE_UP[:3, 3] = [0.59, 0.165, 0.003]


@pytest.fixture(scope="module")
def cell(rig) -> Cell:
    return Cell(rig, BoardProps(BOARD, pose_from_matrix(FACE_UP), in_gripper=False), visuals=True)


def test_the_board_on_the_table_is_seen_where_the_model_says(cell):
    cameras = Cameras(cell)
    view = BoardDetector(BOARD).detect("", cameras.render("wrist_cam"))
    camera = matrix_from_pose(cameras.base_from_camera("wrist_cam"))
    intrinsics = cameras.intrinsics("wrist_cam")
    cameras.close()

    assert view is not None
    assert len(view.ids) == 15
    error_px = view_error_px(view, BOARD, intrinsics, inverse(camera) @ FACE_UP)
    assert rms(error_px) < 0.4  # at 320 x 240, without antialiasing


def test_the_board_in_the_gripper_moves_with_the_flange(rig):
    flange_from_board = transform(np.array([0.02, -0.1, 0.2]), np.array([0.3, 0.2, 0.1]))
    props = BoardProps(BOARD, pose_from_matrix(flange_from_board), in_gripper=True)
    cell = Cell(rig, props, visuals=False)
    at_flange = pose_from_matrix(np.eye(4))
    for joints in (np.array(rig.home_joints_rad), np.array([0.2, -1.5, 1.2, -1.0, -1.4, 0.4])):
        cell.place_arm(joints)
        flange = matrix_from_pose(tcp_pose(rig.robot, at_flange, joints))
        found = matrix_from_pose(cell.object_pose(BODY))
        assert found == pytest.approx(flange @ flange_from_board, abs=1e-6)
        assert cell.joints == pytest.approx(joints)


def test_an_arm_that_was_placed_stays_there(cell, rig):
    joints = np.array(rig.home_joints_rad) + 0.1
    cell.place_arm(joints)
    for _ in range(50):
        cell.advance()
    assert cell.joints == pytest.approx(joints, abs=1e-3)


def test_a_cell_with_a_task_has_no_board(rig):
    model = Cell(dataclasses.replace(rig), task_named("cup"), visuals=False).model
    assert BODY not in [model.body(number).name for number in range(model.nbody)]
