"""Tests for chain.py: against the kinematics that the servo uses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.chain import longest_reach_m, tcp_pose
from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import rotation_between
from carp_ros.robots import ROBOTS
from carp_ros.types import Pose

TOOL = Pose(np.array([0.01, -0.02, 0.15]), np.array([0.5, 0.5, 0.5, 0.5]))
ANGLES = st.lists(st.floats(-3.0, 3.0), min_size=7, max_size=7)


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=lambda robot: robot.name)
@given(angles=ANGLES)
def test_the_tool_is_where_the_servo_takes_it_to_be(robot, angles):
    joints = np.array(angles[: len(robot.joint_names)])

    found, expected = tcp_pose(robot, TOOL, joints), Kinematics(robot, TOOL).tcp_pose(joints)

    assert found.position == pytest.approx(expected.position, abs=1e-9)
    turn = rotation_between(found.quaternion, expected.quaternion)
    assert np.linalg.norm(turn) < 1e-7


@pytest.mark.parametrize("robot", ROBOTS.values(), ids=lambda robot: robot.name)
@given(angles=ANGLES)
def test_no_joints_put_the_tool_farther_than_the_reach(robot, angles):
    at = tcp_pose(robot, TOOL, angles[: len(robot.joint_names)]).position

    assert np.linalg.norm(at) <= longest_reach_m(robot, TOOL) + 1e-9
