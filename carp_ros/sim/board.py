"""A ChArUco board in the cell: on the table, or in the gripper. Only for calibration.

It is a set of props like a task's, so that a cell without it is the same as ever.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import mujoco
import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.sim.goals import Area, Goal, TaskResult
from carp_ros.sim.levels import Level
from carp_ros.sim.task import Rgb, Staging
from carp_ros.sim.vessels import VISUAL_GROUP
from carp_ros.types import Array, Pose

BODY = "calibration_board"
_FLANGE_BODY, _FLANGE_SITE = "wrist_3_link", "attachment_site"
_PIXELS_PER_SQUARE = 96
_MARGIN_SQUARES = 0.5
_THICKNESS_M = 0.002


class BoardProps:
    """A board in the cell instead of a task's objects; it collides with nothing.

    Args:
        board: The board.
        pose: `base_from_board`, or `flange_from_board` if it is in the gripper.
        in_gripper: Whether the arm carries it.
    """

    name = BODY
    instruction = "calibrate"
    objects: tuple[str, ...] = ()
    has_one_goal = True

    def __init__(self, board: Board, pose: Pose, *, in_gripper: bool) -> None:
        self._board, self._pose, self._in_gripper = board, pose, in_gripper
        self.fields: Mapping[str, Area] = {}
        self.colours: Mapping[str, Rgb] = {}

    def add_props(self, spec: mujoco.MjSpec, *, visuals: bool) -> None:
        """Add the board as a body named `calibration_board`, whose frame is the board's."""
        x, y, z, w = self._pose.quaternion
        parent = spec.body(_FLANGE_BODY) if self._in_gripper else spec.worldbody
        body = parent.add_body(name=BODY, pos=self._pose.position, quat=[w, x, y, z])
        if self._in_gripper:
            flange = spec.site(_FLANGE_SITE)
            body.set_frame(parent.add_frame(pos=flange.pos, quat=flange.quat))
        if visuals:
            _add_picture(spec, body, self._board)

    def scatter(self, rng: np.random.Generator, level: Level) -> dict[str, Pose]:
        """Return nothing: the board stays where it is."""
        return {}

    def stage(self, rng: np.random.Generator) -> Staging:
        """Return a goal that says that there is nothing to do."""
        return Staging({}, (Goal(BODY, "", "board", "same place"),))

    def judge(self, goal: Goal, model: mujoco.MjModel, data: mujoco.MjData) -> TaskResult:
        """Return that there is nothing to do."""
        return TaskResult(())


def _add_picture(spec: mujoco.MjSpec, body: mujoco.MjsBody, board: Board) -> None:
    """Add a slab with the board printed on the side that faces -z, with a white margin."""
    margin_px = round(_MARGIN_SQUARES * _PIXELS_PER_SQUARE)
    size_px = (
        board.columns * _PIXELS_PER_SQUARE + 2 * margin_px,
        board.rows * _PIXELS_PER_SQUARE + 2 * margin_px,
    )
    grey = board.opencv_board.generateImage(size_px, marginSize=margin_px)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    texture = spec.add_texture(
        name=BODY,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=size_px[0],
        height=size_px[1],
        nchannel=3,
    )
    texture.data = picture.tobytes()
    material = spec.add_material(name=BODY, specular=0.0, emission=0.3, rgba=[0.8, 0.8, 0.8, 1])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = BODY
    corners, places, faces = _slab(board)
    spec.add_mesh(
        name=BODY,
        uservert=corners.ravel(),
        usertexcoord=places.ravel(),
        userface=faces.ravel(),
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    body.add_geom(
        name=BODY,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=BODY,
        material=BODY,
        group=VISUAL_GROUP,
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def _slab(board: Board) -> tuple[Array, Array, Array]:
    """Return corners (8, 3) in [m], their places in the texture (8, 2), and triangles (12, 3)."""
    margin_m = _MARGIN_SQUARES * board.square_m
    left, right = -margin_m, board.width_m + margin_m
    top, bottom = -margin_m, board.height_m + margin_m
    around = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    front = np.column_stack([around, np.zeros(4)])
    back = np.column_stack([around, np.full(4, _THICKNESS_M)])
    places = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    white = np.full((4, 2), 0.002)
    # counter-clockwise as seen from outside
    front_faces = [[0, 3, 2], [0, 2, 1]]
    back_faces = [[4, 5, 6], [4, 6, 7]]
    sides = [[[i, j, 4 + j], [i, 4 + j, 4 + i]] for i, j in ((0, 1), (1, 2), (2, 3), (3, 0))]
    faces = np.array(front_faces + back_faces + [face for side in sides for face in side])
    return np.concatenate([front, back]), np.concatenate([places, white]), faces
