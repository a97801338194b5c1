"""What the cell must know of each arm that it has a model of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carp_ros.robots import FR3, UR5E, Robot
from carp_ros.sim import arm_model, fr3_model

_Vector = tuple[float, float, float]


@dataclass(frozen=True)
class CameraMount:
    """The wrist camera: on `body`, looking from `position` at `target`, in its frame, in [m]."""

    body: str
    position: _Vector
    target: _Vector
    up: _Vector


@dataclass(frozen=True)
class CellArm:
    """An arm with its gripper.

    Attributes:
        build: Returns the model, from the tool and whether it is drawn.
        stiffness, damping: Of the joints' position servos, in [Nm/rad] and [Nm s/rad].
        finger_joints: The first one tells the gripper's closure.
        finger_open, finger_closed: Their positions, in [rad] or [m].
        ctrl_open, ctrl_closed: Set-points of the gripper's motor.
        stroke_s: Time from open to closed at full speed.
        palm_m: From the palm to the tool centre point.
        camera: Where the wrist camera is mounted.
    """

    build: Callable[..., Any]
    stiffness: tuple[float, ...]
    damping: tuple[float, ...]
    finger_joints: tuple[str, ...]
    finger_open: float
    finger_closed: float
    ctrl_open: float
    ctrl_closed: float
    stroke_s: float
    palm_m: float
    camera: CameraMount


_ARMS = {
    UR5E.name: CellArm(
        build=arm_model.build_arm,
        stiffness=arm_model.STIFFNESS,
        damping=arm_model.DAMPING,
        finger_joints=(arm_model.DRIVER_JOINT,),
        finger_open=0.0,
        finger_closed=arm_model.DRIVER_CLOSED_RAD,
        ctrl_open=0.0,
        ctrl_closed=arm_model.CTRL_CLOSED,
        stroke_s=arm_model.STROKE_S,
        palm_m=0.06,
        # on the gripper's mount, looking between the fingers, and towards the arm's base at home
        camera=CameraMount(
            body=f"{arm_model.GRIPPER_PREFIX}base_mount",
            position=(0.0, 0.105, -0.005),
            target=(0.0, 0.012, 0.17),
            up=(0.0, -1.0, 0.0),
        ),
    ),
    FR3.name: CellArm(
        build=fr3_model.build_fr3,
        stiffness=fr3_model.STIFFNESS,
        damping=fr3_model.DAMPING,
        finger_joints=fr3_model.FINGER_JOINTS,
        finger_open=fr3_model.FINGER_OPEN_M,
        finger_closed=0.0,
        ctrl_open=fr3_model.CTRL_OPEN,
        ctrl_closed=0.0,
        stroke_s=fr3_model.STROKE_S,
        palm_m=0.040,
        camera=CameraMount(
            body=fr3_model.HAND,
            position=(-0.105, 0.0, 0.0),
            target=(-0.012, 0.0, 0.12),
            up=(1.0, 0.0, 0.0),
        ),
    ),
}


def cell_arm(robot: Robot) -> CellArm:
    """Return what the cell knows of a robot.

    Raises:
        ValueError: If the cell has no model of it.
    """
    if robot.name not in _ARMS:
        raise ValueError(f"the cell has no {robot.name}; expected robot: {' or '.join(_ARMS)}")
    return _ARMS[robot.name]
