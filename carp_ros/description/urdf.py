"""A rig as URDF: arm, gripper, cameras and the tool centre point, from the data of its `Robot`.

It has the frames of the project's own kinematics, so a viewer shows the tool where the servo
believes it to be. Links are drawn as cylinders and boxes, as meshes belong to the manufacturers; it
has no masses and no collision bodies and must not be used to plan or simulate.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from carp_ros.description.gripper_joint import GRIPPER_JOINT
from carp_ros.geometry import matrix_from_quaternion
from carp_ros.rig import Rig
from carp_ros.rig_cameras import optical_frame
from carp_ros.robots import Origin
from carp_ros.types import Array, Pose

ROOT, TCP = "world", "tcp"
"""Frames of every rig: the root, at the robot's base, and the tool centre point."""

GRIPPER_BASE = "gripper_base"
FINGERS = ("gripper_left_finger", "gripper_right_finger")

_ARM_RADIUS_M = 0.045
_FINGER_M = (0.02, 0.008, 0.045)
_PALM_M = (0.07, 0.09)
_CAMERA_M = (0.09, 0.025, 0.025)
_COLOURS = {"arm": "0.85 0.87 0.9 1", "gripper": "0.25 0.27 0.3 1", "camera": "0.1 0.5 0.8 1"}


def robot_description(rig: Rig) -> str:
    """Return the URDF of a rig, with those cameras whose poses were calibrated."""
    robot, flange = rig.robot, rig.robot.flange_frame
    root = Element("robot", name=robot.name)
    for name, rgba in _COLOURS.items():
        SubElement(SubElement(root, "material", name=name), "color", rgba=rgba)
    SubElement(root, "link", name=ROOT)
    _link(root, robot.base_frame, "arm", _cylinder_to(robot.origins[0].xyz))
    _fixed(root, ROOT, robot.base_frame, _no_offset())
    parent = robot.base_frame
    ends = [*(origin.xyz for origin in robot.origins[1:]), robot.flange.xyz]
    for index, (name, origin) in enumerate(zip(robot.joint_names, robot.origins)):
        child = link_of(name)
        _link(root, child, "arm", _cylinder_to(ends[index]))
        joint = _joint(root, name, "revolute", parent, child, origin)
        SubElement(joint, "axis", xyz="0 0 1")
        limits = (robot.lower_rad[index], robot.upper_rad[index], robot.max_speed_rad_s[index])
        _limit(joint, *limits)
        parent = child
    SubElement(root, "link", name=flange)
    _fixed(root, parent, flange, robot.flange)
    tool = rig.tool.flange_from_tcp
    SubElement(root, "link", name=TCP)
    _fixed(root, flange, TCP, _origin(tool))
    _add_gripper(root, rig, tool)
    for name, camera in rig.calibrated.poses.items():
        frame = optical_frame(name)
        _link(root, frame, "camera", _box(_CAMERA_M))
        mount = flange if camera.parent == "flange" else robot.base_frame
        _fixed(root, mount, frame, _origin(camera.parent_from_camera))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def link_of(joint_name: str) -> str:
    """Return the name of the link that a joint moves."""
    return joint_name.replace("joint", "link")


def _add_gripper(root: Element, rig: Rig, tool: Pose) -> None:
    """Add a palm between flange and fingertips, and two fingers that close along the tool's y."""
    length_m = max(float(np.linalg.norm(tool.position)) - _FINGER_M[2], 0.02)
    palm = Origin((0.0, 0.0, 0.5 * length_m), (0.0, 0.0, 0.0))
    _link(root, GRIPPER_BASE, "gripper", [(_box_element((*_PALM_M, length_m)), palm)])
    _fixed(root, rig.robot.flange_frame, GRIPPER_BASE, Origin((0.0, 0.0, 0.0), _origin(tool).rpy))
    tip = Origin((0.0, 0.0, -0.4 * _FINGER_M[2]), (0.0, 0.0, 0.0))
    for finger, direction in zip(FINGERS, ("0 1 0", "0 -1 0")):
        _link(root, finger, "gripper", [(_box_element(_FINGER_M), tip)])
        joint = _joint(root, f"{finger}_joint", "prismatic", TCP, finger, _no_offset())
        SubElement(joint, "axis", xyz=direction)
        _limit(joint, 0.0, rig.gripper.finger_travel_m, 0.2)
        if f"{finger}_joint" != GRIPPER_JOINT:
            SubElement(joint, "mimic", joint=GRIPPER_JOINT)


_Shapes = list[tuple[Element, Origin]]


def _link(root: Element, name: str, material: str, shapes: _Shapes) -> None:
    link = SubElement(root, "link", name=name)
    for shape, origin in shapes:
        visual = SubElement(link, "visual")
        _set_origin(visual, origin)
        SubElement(visual, "geometry").append(shape)
        SubElement(visual, "material", name=material)


def _joint(root: Element, name: str, kind: str, parent: str, child: str, origin: Origin) -> Element:
    joint = SubElement(root, "joint", name=name, type=kind)
    _set_origin(joint, origin)
    SubElement(joint, "parent", link=parent)
    SubElement(joint, "child", link=child)
    return joint


def _fixed(root: Element, parent: str, child: str, origin: Origin) -> None:
    _joint(root, f"{child}_mount", "fixed", parent, child, origin)


def _limit(joint: Element, lower: float, upper: float, velocity: float) -> None:
    # URDF requires an effort; 0 says that it is not known here.
    numbers = {"lower": lower, "upper": upper, "velocity": velocity, "effort": 0.0}
    SubElement(joint, "limit", {key: repr(float(value)) for key, value in numbers.items()})


def _set_origin(element: Element, origin: Origin) -> None:
    SubElement(element, "origin", xyz=_text(origin.xyz), rpy=_text(origin.rpy))


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(repr(float(number)) for number in numbers)


def _cylinder_to(end: tuple[float, float, float]) -> _Shapes:
    """Return a cylinder from a link's own frame to its next joint, if that is somewhere else."""
    length_m = math.hypot(*end)
    if length_m < 1e-6:
        return []
    x, y, z = end
    rpy = (0.0, math.acos(z / length_m), math.atan2(y, x))
    cylinder = Element("cylinder", radius=repr(_ARM_RADIUS_M), length=repr(length_m))
    return [(cylinder, Origin((0.5 * x, 0.5 * y, 0.5 * z), rpy))]


def _box(size_m: tuple[float, float, float]) -> _Shapes:
    return [(_box_element(size_m), _no_offset())]


def _box_element(size_m: tuple[float, float, float]) -> Element:
    return Element("box", size=_text(size_m))


def _no_offset() -> Origin:
    return Origin((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def _origin(pose: Pose) -> Origin:
    x, y, z = pose.position.tolist()
    return Origin((x, y, z), roll_pitch_yaw(matrix_from_quaternion(pose.quaternion)))


def roll_pitch_yaw(matrix: Array) -> tuple[float, float, float]:
    """Return the angles of `Rz(yaw) Ry(pitch) Rx(roll)` in [rad], at any rotation matrix."""
    pitch = math.atan2(-matrix[2, 0], math.hypot(matrix[0, 0], matrix[1, 0]))
    if math.cos(pitch) < 1e-9:  # roll and yaw turn about one axis: choose no yaw
        return math.atan2(-matrix[1, 2], matrix[1, 1]), pitch, 0.0
    roll = math.atan2(matrix[2, 1], matrix[2, 2])
    return roll, pitch, math.atan2(matrix[1, 0], matrix[0, 0])
