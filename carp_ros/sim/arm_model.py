"""Model of the UR5e with its 2F-85: the Menagerie's models, made consistent with our kinematics.

Link lengths are those of `robots.UR5E`, so that MuJoCo and the kinematics agree on the tool's pose;
the base is at `base_link`; and the gripper is mounted so that its fingers close along the tool's y
axis. Fingers and palm collide as boxes, as meshes would only cost time.
"""

from __future__ import annotations

import mujoco

from carp_ros.rig import ToolConfig
from carp_ros.robots import UR5E
from carp_ros.sim import assets
from carp_ros.sim.vessels import COLLISION_GROUP

GRIPPER_PREFIX = "gripper/"
TCP_SITE = "tcp"
DRIVER_JOINT = f"{GRIPPER_PREFIX}right_driver_joint"
DRIVER_CLOSED_RAD = 0.8
CTRL_CLOSED = 255.0
STROKE_S = 0.6  # from open to closed at full speed, Robotiq 2F-85 manual

# Gains of the joints' position servos [Nm/rad], [Nm s/rad]: shoulder and elbow, then wrist. The
# Menagerie's (2000, 400 and 500, 100) make the arm lag by 0.2 s, while a real UR5e tracks to well
# under 1 mm.
STIFFNESS = (20000.0,) * 3 + (5000.0,) * 3
DAMPING = (500.0,) * 3 + (60.0,) * 3

# The gripper's collision boxes: body, centre [m], half sizes [m]; bounds of the Menagerie's meshes.
_BOXES = (
    ("base_mount", (0.0, 0.0, 0.0), (0.036, 0.036, 0.007)),
    ("base", (0.0, 0.0, 0.043), (0.034, 0.028, 0.046)),
    ("right_coupler", (0.0, 0.003, 0.0235), (0.0135, 0.009, 0.0295)),
    ("left_coupler", (0.0, 0.003, 0.0235), (0.0135, 0.009, 0.0295)),
    ("right_follower", (0.0, -0.006, 0.0195), (0.0075, 0.012, 0.025)),
    ("left_follower", (0.0, -0.006, 0.0195), (0.0075, 0.012, 0.025)),
)
_MOUNT_KG = 0.075
_HALF = 0.5**0.5


def build_arm(tool: ToolConfig, *, visuals: bool) -> mujoco.MjSpec:
    """Return arm and gripper, with a site `tcp` at the tool centre point, without a world.

    Args:
        tool: Pose of the tool centre point on the flange.
        visuals: Whether to load visual geometry; without it, no mesh is read.
    """
    arm = mujoco.MjSpec.from_file(str(assets.arm_xml()))
    gripper = mujoco.MjSpec.from_file(str(assets.gripper_xml()))
    _strip_gripper_meshes(gripper)
    for spec, model in ((arm, assets.ARM), (gripper, assets.GRIPPER)):
        if visuals:
            use_light_meshes(spec, model)
        else:
            strip_meshes(spec)
        for body in spec.bodies:
            body.gravcomp = 1.0  # the real controller compensates for arm and payload
    for key in list(arm.keys):
        arm.delete(key)
    for light in list(arm.lights):
        arm.delete(light)
    _set_link_lengths(arm)
    _set_gains(arm)
    # The gripper model's options, which attaching would replace by the arm's.
    arm.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    arm.option.impratio = 10
    # The Menagerie's gripper is turned by -90 degrees about the flange's z axis.
    gripper.body("base_mount").quat = [_HALF, 0, 0, _HALF]
    x, y, z, w = tool.quaternion
    wrist = arm.body("wrist_3_link")
    flange = arm.site("attachment_site")
    frame = wrist.add_frame(pos=flange.pos, quat=flange.quat)
    site = wrist.add_site(name=TCP_SITE, pos=tool.position_m, quat=[w, x, y, z], group=5)
    site.set_frame(frame)
    arm.attach(gripper, prefix=GRIPPER_PREFIX, site=flange)
    return arm


def _set_link_lengths(arm: mujoco.MjSpec) -> None:
    """Replace the Menagerie's lengths, rounded to 1 mm, by the manufacturer's."""
    shoulder, elbow, wrist_1, wrist_2, wrist_3 = (origin.xyz for origin in UR5E.origins[1:])
    arm.body("base").quat = [1, 0, 0, 0]  # x forward: base_link, not UR's base
    arm.body("shoulder_link").pos[2] = shoulder[2]
    arm.body("forearm_link").pos[2] = -elbow[0]
    arm.body("wrist_1_link").pos[2] = -wrist_1[0]
    # The Menagerie splits the offset along y into two opposite steps; only their sum matters.
    aside = arm.body("upper_arm_link").pos[1] + arm.body("forearm_link").pos[1]
    arm.body("wrist_2_link").pos[1] = wrist_2[2] - aside
    arm.body("wrist_3_link").pos[2] = wrist_3[2]
    arm.site("attachment_site").pos[1] = UR5E.flange.xyz[2]


def _set_gains(arm: mujoco.MjSpec) -> None:
    for actuator, stiffness, damping in zip(arm.actuators, STIFFNESS, DAMPING):
        actuator.gainprm[0] = stiffness
        actuator.biasprm[1:3] = [-stiffness, -damping]
        # Feed-forward puts the set-point ahead of the joint; the joint's own limit still applies.
        actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_FALSE


def _strip_gripper_meshes(gripper: mujoco.MjSpec) -> None:
    for geom in list(gripper.geoms):
        if geom.meshname and geom.group == COLLISION_GROUP:
            gripper.delete(geom)
    for body, middle, size in _BOXES:
        gripper.body(body).add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=middle,
            size=size,
            mass=_MOUNT_KG if body == "base_mount" else 0.0,
            group=COLLISION_GROUP,
        )


def use_light_meshes(spec: mujoco.MjSpec, model: str) -> None:
    """Let a model draw its simplified meshes, which weigh nothing."""
    spec.meshdir = str(assets.mesh_folder(model))
    for geom in spec.geoms:
        if geom.meshname:
            geom.mass = 0.0


def strip_meshes(spec: mujoco.MjSpec) -> None:
    """Remove every mesh of a model that is not drawn."""
    for geom in list(spec.geoms):
        if geom.meshname:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        spec.delete(mesh)
