"""Model of the FR3 with its hand: the Menagerie's, as `arm_model.py` has the UR5e.

Fingers and palm collide as boxes; the arm itself collides with nothing. The fingers close along the
tool's y axis.
"""

from __future__ import annotations

import mujoco

from carp_ros.rig import ToolConfig
from carp_ros.sim import assets
from carp_ros.sim.arm_model import GRIPPER_PREFIX, TCP_SITE, strip_meshes, use_light_meshes
from carp_ros.sim.vessels import COLLISION_GROUP

FINGER_JOINTS = ("finger_joint1", "finger_joint2")
FINGER_OPEN_M = 0.04  # each finger's way
CTRL_OPEN = 255.0
STROKE_S = 0.5  # from open to closed: 0.16 m/s between the fingers
HAND = f"{GRIPPER_PREFIX}hand"

# Gains of the joints' position servos [Nm/rad], [Nm s/rad]: they hold the arm to the set-point that
# its controller computes, which is what yields.
STIFFNESS = (20000.0,) * 4 + (5000.0,) * 3
DAMPING = (500.0,) * 4 + (60.0,) * 3
_FINGER_STIFFNESS_N_M, _FINGER_DAMPING_NS_M = 1500.0, 60.0
_FINGER_FRICTION_N = 0.1  # the Menagerie's is that of the arm's joints

# Collision boxes: body, centre [m], half sizes [m]; bounds of the Menagerie's meshes. Fingertips
# have the Menagerie's own boxes.
_BOXES = (
    ("hand", (0.0, 0.0, 0.030), (0.031, 0.102, 0.033)),
    ("left_finger", (0.0, 0.0145, 0.018), (0.0105, 0.0075, 0.018)),
    ("right_finger", (0.0, 0.0145, 0.018), (0.0105, 0.0075, 0.018)),
)
_LINK_BEFORE_HAND = "fr3_link7"
_FLANGE_M = 0.107


def build_fr3(tool: ToolConfig, *, visuals: bool) -> mujoco.MjSpec:
    """Return arm and hand, with a site `tcp` at the tool centre point, without a world.

    Args:
        tool: Pose of the tool centre point on the flange.
        visuals: Whether to load visual geometry; without it, no mesh is read.
    """
    arm = mujoco.MjSpec.from_file(str(assets.fr3_xml()))
    for geom in list(arm.geoms):
        if geom.meshname and geom.group == COLLISION_GROUP:
            arm.delete(geom)
    drawn = {geom.meshname for geom in arm.geoms}
    for mesh in list(arm.meshes):
        if mesh.name not in drawn:
            arm.delete(mesh)
    if visuals:
        use_light_meshes(arm, assets.FR3)
    else:
        strip_meshes(arm)
    for key in list(arm.keys):
        arm.delete(key)
    for body in arm.bodies:
        body.gravcomp = 1.0  # the real controller compensates for arm and payload
    for name, middle, size in _BOXES:
        arm.body(name).add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=middle, size=size, mass=0.0, group=COLLISION_GROUP
        )
    for name in FINGER_JOINTS:
        arm.joint(name).frictionloss = _FINGER_FRICTION_N
    _set_gains(arm)
    arm.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    arm.option.impratio = 10
    x, y, z, w = tool.quaternion
    link = arm.body(_LINK_BEFORE_HAND)
    site = link.add_site(name=TCP_SITE, pos=tool.position_m, quat=[w, x, y, z], group=5)
    site.set_frame(link.add_frame(pos=[0.0, 0.0, _FLANGE_M]))
    for name in ("hand", "left_finger", "right_finger"):
        arm.body(name).name = f"{GRIPPER_PREFIX}{name}"
    return arm


def _set_gains(arm: mujoco.MjSpec) -> None:
    *joints, hand = arm.actuators
    for actuator, stiffness, damping in zip(joints, STIFFNESS, DAMPING):
        actuator.gainprm[0] = stiffness
        actuator.biasprm[1:3] = [-stiffness, -damping]
        actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_FALSE
    hand.gainprm[0] = _FINGER_STIFFNESS_N_M * FINGER_OPEN_M / CTRL_OPEN
    hand.biasprm[1:3] = [-_FINGER_STIFFNESS_N_M, -_FINGER_DAMPING_NS_M]
