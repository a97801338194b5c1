"""The whole scene: arm, table, lamp, two cameras, and the props of one task."""

from __future__ import annotations

import mujoco
import numpy as np

from carp_ros.rig import Rig
from carp_ros.sim.cell_arm import CameraMount, cell_arm
from carp_ros.sim.task import Task
from carp_ros.types import Array

TIMESTEP_S = 0.002
WRIST_CAMERA = "wrist_cam"
THIRD_CAMERA = "third_cam"


def build_scene(rig: Rig, task: Task, *, visuals: bool) -> mujoco.MjSpec:
    """Return the model of a rig's cell.

    Joints, bodies and actuators are the same with and without visuals, so that states can be
    transferred between the two.

    Args:
        rig: For its tool and the sizes of its cameras.
        task: Determines the objects on the table.
        visuals: Whether to load visual geometry.

    Raises:
        ValueError: If the cell has no model of the rig's arm.
    """
    arm = cell_arm(rig.robot)
    spec = arm.build(rig.tool, visuals=visuals)
    spec.modelname = f"{rig.name}_{task.name}"
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # Gives round undersides several contacts instead of one; the default in MuJoCo 4.
    spec.option.enableflags |= int(getattr(mujoco.mjtEnableBit, "mjENBL_MULTICCD", 0))
    _add_table(spec)
    _add_lamp(spec)
    _add_cameras(spec, arm.camera)
    task.add_props(spec, visuals=visuals)
    images = rig.cameras.values()
    spec.visual.global_.offwidth = max((camera.width_px for camera in images), default=320)
    spec.visual.global_.offheight = max((camera.height_px for camera in images), default=240)
    # Rendering time on a CPU depends on vertices, shadows and samples, hardly on pixels.
    spec.visual.quality.offsamples = 0
    return spec


def _add_table(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="room",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.62, 0.66, 0.70],
        rgb2=[0.42, 0.45, 0.50],
        width=64,
        height=64,
    )
    spec.add_material(name="table", rgba=[0.78, 0.70, 0.60, 1], specular=0.1)
    spec.add_material(name="floor", rgba=[0.50, 0.53, 0.58, 1], specular=0.0)
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[3, 3, 0.1],
        pos=[0, 0, -0.75],
        material="floor",
    )
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.55, 0.6, 0.02],
        pos=[0.4, 0, -0.02],
        material="table",
        friction=[0.8, 0.01, 0.001],
    )


def _add_lamp(spec: mujoco.MjSpec) -> None:
    headlight = spec.visual.headlight
    headlight.ambient = [0.35] * 3
    headlight.diffuse = [0.30] * 3
    headlight.specular = [0.05] * 3
    spec.worldbody.add_light(
        name="lamp",
        pos=[0.7, -0.7, 1.6],
        dir=[-0.15, 0.45, -1.0],
        castshadow=False,
        diffuse=[0.6] * 3,
        specular=[0.25] * 3,
    )


def _add_cameras(spec: mujoco.MjSpec, mount: CameraMount) -> None:
    _add_camera(
        spec.worldbody,
        THIRD_CAMERA,
        position=np.array([1.22, 0.46, 0.66]),
        target=np.array([0.45, -0.01, 0.12]),
        up=np.array([0.0, 0.0, 1.0]),
        fovy_deg=38.0,
    )
    _add_camera(
        spec.body(mount.body),
        WRIST_CAMERA,
        position=np.array(mount.position),
        target=np.array(mount.target),
        up=np.array(mount.up),
        fovy_deg=62.0,
    )


def _add_camera(
    body: mujoco.MjsBody, name: str, position: Array, target: Array, up: Array, fovy_deg: float
) -> None:
    """Add a camera that looks from `position` at `target`, both in the body's frame, in [m]."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    camera = body.add_camera(name=name, pos=position, fovy=fovy_deg)
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = [*right, *np.cross(back, right)]
