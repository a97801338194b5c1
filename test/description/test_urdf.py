"""Tests for description/urdf.py: a viewer sees the tool where the servo believes it to be."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.calibrated.result_file import CameraPose, Provenance
from carp_ros.calibrated.rig_calibration import RigCalibration
from carp_ros.chain import tcp_pose as slow_tcp_pose
from carp_ros.control.kinematics import Kinematics
from carp_ros.description.gripper_joint import GRIPPER_JOINT, finger_position_m
from carp_ros.description.urdf import (
    FINGERS,
    robot_description,
    roll_pitch_yaw,
)
from carp_ros.geometry import compose, matrix_from_quaternion
from carp_ros.rig import ToolConfig, load_rig
from carp_ros.types import Pose

CONFIG = Path(__file__).parent.parent.parent / "config"
RIGS = {name: load_rig(CONFIG / f"{name}.yaml") for name in ("ur5e", "ur5e_sim", "fr3", "fr3_sim")}

unit = st.floats(-1.0, 1.0)
quaternions = (
    st.lists(unit, min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
poses = st.builds(Pose, st.lists(unit, min_size=3, max_size=3).map(np.array), quaternions)


WHENCE = Provenance("ur5e_sim", "2026-01-31", "method", "source", 15)


def camera_pose(parent, pose):
    place, turn = tuple(pose.position.tolist()), tuple(pose.quaternion.tolist())
    return CameraPose("camera_pose", "a camera", parent, place, turn, 0.4, 0.03, WHENCE)


class Parsed:
    """A URDF as pinocchio reads it."""

    def __init__(self, text: str) -> None:
        self.model = pin.buildModelFromXML(text, mimic=True)
        self.data = self.model.createData()

    def placement(self, frame: str, positions: dict[str, float]) -> pin.SE3:
        q = pin.neutral(self.model)
        for name, value in positions.items():
            q[self.model.joints[self.model.getJointId(name)].idx_q] = value
        pin.framesForwardKinematics(self.model, self.data, q)
        return self.data.oMf[self.model.getFrameId(frame)]


PARSED = {name: Parsed(robot_description(rig)) for name, rig in RIGS.items()}


def joints_of(rig, fractions):
    low, high = np.array(rig.robot.lower_rad), np.array(rig.robot.upper_rad)
    return low + (high - low) * (0.5 + 0.5 * np.array(fractions[: len(low)]))


@pytest.mark.parametrize("name", RIGS)
@given(fractions=st.lists(unit, min_size=7, max_size=7))
def test_the_tool_is_where_both_of_our_kinematics_have_it(name, fractions):
    rig, flange_from_tcp = RIGS[name], RIGS[name].tool.flange_from_tcp
    joints = joints_of(rig, fractions)
    seen = PARSED[name].placement("tcp", dict(zip(rig.robot.joint_names, joints)))
    for pose in (
        Kinematics(rig.robot, flange_from_tcp).tcp_pose(joints),
        slow_tcp_pose(rig.robot, flange_from_tcp, joints.tolist()),
    ):
        np.testing.assert_allclose(seen.translation, pose.position, atol=1e-9)
        np.testing.assert_allclose(
            seen.rotation, matrix_from_quaternion(pose.quaternion), atol=1e-9
        )


@given(poses, st.sampled_from(sorted(RIGS)))
def test_any_tool_is_where_our_kinematics_have_it(tool, name):
    rig = replace(
        RIGS[name], tool=ToolConfig(tuple(tool.position.tolist()), tuple(tool.quaternion.tolist()))
    )
    home = np.array(rig.home_joints_rad)
    seen = Parsed(robot_description(rig)).placement("tcp", dict(zip(rig.robot.joint_names, home)))
    pose = Kinematics(rig.robot, rig.tool.flange_from_tcp).tcp_pose(home)
    np.testing.assert_allclose(seen.translation, pose.position, atol=1e-9)
    np.testing.assert_allclose(seen.rotation, matrix_from_quaternion(pose.quaternion), atol=1e-9)


@given(poses, poses)
def test_cameras_are_where_they_were_calibrated(on_wrist, beside):
    rig = RIGS["ur5e_sim"]
    poses = {"wrist_cam": camera_pose("flange", on_wrist), "third_cam": camera_pose("base", beside)}
    rig = replace(rig, calibrated=RigCalibration(poses=poses))
    home = np.array(rig.home_joints_rad)
    positions = dict(zip(rig.robot.joint_names, home))
    parsed = Parsed(robot_description(rig))
    base_from_flange = Kinematics(rig.robot, Pose(np.zeros(3), np.array([0, 0, 0, 1.0]))).tcp_pose(
        home
    )
    for frame, pose in (
        ("wrist_cam_optical_frame", compose(base_from_flange, on_wrist)),
        ("third_cam_optical_frame", beside),
    ):
        seen = parsed.placement(frame, positions)
        np.testing.assert_allclose(seen.translation, pose.position, atol=1e-9)
        np.testing.assert_allclose(
            seen.rotation, matrix_from_quaternion(pose.quaternion), atol=1e-9
        )


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2])
@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
def test_angles_are_right_where_roll_and_yaw_turn_about_one_axis(pitch, roll, yaw):
    matrix = pin.rpy.rpyToMatrix(roll, pitch, yaw)
    np.testing.assert_allclose(pin.rpy.rpyToMatrix(*roll_pitch_yaw(matrix)), matrix, atol=1e-9)


@pytest.mark.parametrize("name", RIGS)
def test_limits_are_the_robots(name):
    robot, model = RIGS[name].robot, PARSED[name].model
    for joint, low, high, speed in zip(
        robot.joint_names, robot.lower_rad, robot.upper_rad, robot.max_speed_rad_s
    ):
        index = model.joints[model.getJointId(joint)]
        assert model.lowerPositionLimit[index.idx_q] == pytest.approx(low)
        assert model.upperPositionLimit[index.idx_q] == pytest.approx(high)
        assert model.velocityLimit[index.idx_v] == pytest.approx(speed)


@pytest.mark.parametrize("name", RIGS)
def test_the_fingers_meet_at_the_tool_and_open_along_its_y_axis(name):
    rig = RIGS[name]
    home = dict(zip(rig.robot.joint_names, rig.home_joints_rad))
    for closure, apart_m in ((1.0, 0.0), (0.0, rig.gripper.finger_travel_m)):
        positions = home | {GRIPPER_JOINT: finger_position_m(rig.gripper, closure)}
        tcp = PARSED[name].placement("tcp", positions).copy()
        for finger, sign in zip(FINGERS, (1, -1)):
            seen = tcp.actInv(PARSED[name].placement(finger, positions))
            np.testing.assert_allclose(seen.translation, [0, sign * apart_m, 0], atol=1e-12)


@pytest.mark.parametrize("name", RIGS)
def test_every_link_is_joined_once_and_every_joint_has_its_links(name):
    root = ElementTree.fromstring(robot_description(RIGS[name]))
    links = [link.attrib["name"] for link in root.findall("link")]
    children = [child.attrib["link"] for child in root.findall("joint/child")]
    parents = {parent.attrib["link"] for parent in root.findall("joint/parent")}
    assert sorted([*children, "world"]) == sorted(links)
    assert parents <= set(links)
