"""Tests for control/kinematics.py: against UR's analytic solution, DH tables and differences."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carp_ros.control.kinematics import IkError, Kinematics
from carp_ros.geometry import (
    compose,
    invert,
    matrix_from_quaternion,
    quaternion_from_matrix,
    quaternion_from_rotvec,
    rotation_between,
)
from carp_ros.robots import FR3, UR5E
from carp_ros.types import Pose

try:
    from ur_analytic_ik import ur5e
except ImportError:
    ur5e = None

with_the_oracle = pytest.mark.skipif(
    ur5e is None, reason="ur_analytic_ik is not installed: it has no wheel for Python 3.12"
)

TOOL = Pose(np.array([0.01, -0.02, 0.1558]), quaternion_from_rotvec(np.array([0.1, 0.2, 0.7])))
NO_TOOL = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
# UR's controller counts from `base`, which is turned by half a turn against `base_link`.
BASE_FROM_BASE_LINK = Pose(np.zeros(3), np.array([0.0, 0.0, 1.0, 0.0]))

UR5E_ARM = Kinematics(UR5E, TOOL)
FR3_ARM = Kinematics(FR3, TOOL)


def joints_of(robot):
    limits = zip(robot.lower_rad, robot.upper_rad)
    return st.tuples(*(st.floats(low + 0.01, high - 0.01) for low, high in limits)).map(np.array)


def matrix(pose):
    homogeneous = np.eye(4)
    homogeneous[:3, :3] = matrix_from_quaternion(pose.quaternion)
    homogeneous[:3, 3] = pose.position
    return homogeneous


def analytic_branches(base_link_from_tcp):
    """Return all joint positions for a pose, by UR's closed formulas, of shape (N, 6)."""
    base_from_tcp = compose(BASE_FROM_BASE_LINK, base_link_from_tcp)
    flange = compose(base_from_tcp, invert(TOOL))
    return np.array(ur5e.inverse_kinematics(matrix(flange)))


def farthest_joint(a, b):
    """Return the largest difference of two joint arrays in [rad], whole turns aside."""
    return np.abs((a - b + math.pi) % (2 * math.pi) - math.pi).max(axis=-1)


@with_the_oracle
@given(joints_of(UR5E))
def test_the_ur5e_is_where_its_analytic_kinematics_say(joints):
    base_from_tcp = compose(BASE_FROM_BASE_LINK, UR5E_ARM.tcp_pose(joints))

    expected = ur5e.forward_kinematics_with_tcp(*joints, matrix(TOOL))
    np.testing.assert_allclose(matrix(base_from_tcp), expected, atol=1e-9)


def test_the_ur5e_points_forward_when_its_pan_joint_says_so():
    # On the real robot at these joints the tool is in front of the base, along +x of base_link.
    pose = Kinematics(UR5E, NO_TOOL).tcp_pose(np.radians([180.0, -90.0, -90.0, -90.0, 90.0, 0.0]))

    assert pose.position[0] > 0.4


def fr3_by_dh(joints):
    """Return the flange by Franka's table of Craig's DH parameters (a, d, alpha)."""
    half = math.pi / 2
    table = [
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -half),
        (0.0, 0.316, half),
        (0.0825, 0.0, half),
        (-0.0825, 0.384, -half),
        (0.0, 0.0, half),
        (0.088, 0.0, half),
        (0.0, 0.107, 0.0),
    ]
    base_from_link = np.eye(4)
    for (a, d, alpha), theta in zip(table, [*joints, 0.0]):
        ct, st_, ca, sa = math.cos(theta), math.sin(theta), math.cos(alpha), math.sin(alpha)
        base_from_link = base_from_link @ np.array(
            [
                [ct, -st_, 0.0, a],
                [st_ * ca, ct * ca, -sa, -d * sa],
                [st_ * sa, ct * sa, ca, d * ca],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    return base_from_link


@given(joints_of(FR3))
def test_the_fr3_is_where_its_dh_table_says(joints):
    expected = fr3_by_dh(joints) @ matrix(TOOL)

    np.testing.assert_allclose(matrix(FR3_ARM.tcp_pose(joints)), expected, atol=1e-9)


def test_the_fr3_in_its_ready_pose_is_where_the_manufacturer_says():
    hand = Pose(
        np.array([0.0, 0.0, 0.1034]), quaternion_from_rotvec(np.array([0.0, 0.0, -math.pi / 4]))
    )
    ready = np.array([0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4])

    pose = Kinematics(FR3, hand).tcp_pose(ready)

    # Franka Hand, pointing straight down
    np.testing.assert_allclose(pose.position, [0.3069, 0.0, 0.4869], atol=1e-4)
    np.testing.assert_allclose(
        matrix_from_quaternion(pose.quaternion), np.diag([1.0, -1.0, -1.0]), atol=1e-9
    )


@pytest.mark.parametrize("arm", [UR5E_ARM, FR3_ARM], ids=["ur5e", "fr3"])
@settings(max_examples=40)
@given(data=st.data())
def test_the_jacobian_is_the_slope_of_the_pose(arm, data):
    joints = data.draw(joints_of(arm.robot))
    pose, jacobian = arm.tcp_pose_and_jacobian(joints)
    np.testing.assert_array_equal(pose.position, arm.tcp_pose(joints).position)
    assert jacobian.shape == (6, len(joints))

    step = 1e-5
    for joint in range(len(joints)):
        turn = step * np.eye(len(joints))[joint]
        before, after = arm.tcp_pose(joints - turn), arm.tcp_pose(joints + turn)
        slope = np.concatenate(
            [
                (after.position - before.position) / (2 * step),
                rotation_between(before.quaternion, after.quaternion) / (2 * step),
            ]
        )
        np.testing.assert_allclose(jacobian[:, joint], slope, atol=1e-7)


def bent_joints_of_ur5e():
    """Draw joints off the singularities of elbow and wrist, where the edges of `joints_of` are."""
    bent = st.tuples(st.sampled_from([-1.0, 1.0]), st.floats(0.5, 2.6)).map(math.prod)
    free = st.floats(-6.2, 6.2)
    return st.tuples(free, free, bent, free, bent, free).map(np.array)


@with_the_oracle
@settings(max_examples=60)
@given(
    bent_joints_of_ur5e(),
    st.lists(st.floats(-0.2, 0.2), min_size=6, max_size=6).map(np.array),
)
def test_solve_finds_a_branch_of_the_analytic_solution(joints, offset):
    pose, jacobian = UR5E_ARM.tcp_pose_and_jacobian(joints)
    assume(np.linalg.cond(jacobian) < 40.0)  # near singularities the branches run together
    seed = np.clip(joints + offset, UR5E_ARM.lower_rad, UR5E_ARM.upper_rad)

    found = UR5E_ARM.solve(pose, seed, tolerance=1e-8)

    assert farthest_joint(analytic_branches(pose), found).min() < 1e-5
    np.testing.assert_allclose(UR5E_ARM.tcp_pose(found).position, pose.position, atol=1e-8)


@given(st.floats(-math.pi, math.pi), st.floats(1.2, 3.0), st.floats(-1.0, 1.0))
@settings(max_examples=10)
def test_a_pose_out_of_reach_is_refused_with_what_is_left(azimuth, distance, height):
    position = np.array([distance * math.cos(azimuth), distance * math.sin(azimuth), height])
    pose = Pose(position, quaternion_from_matrix(np.diag([1.0, -1.0, -1.0])))

    with pytest.raises(IkError, match="choose a pose within reach") as caught:
        UR5E_ARM.solve(pose, np.radians([0.0, -90.0, 90.0, -90.0, -90.0, 0.0]))

    assert caught.value.pose is pose
    assert caught.value.error_m > 0.01


def test_a_solution_beyond_the_joint_limits_is_refused_and_shows_the_joint():
    beyond = np.array([0.0, -1.0, 1.0, -1.0, 1.0, math.radians(370.0)])

    with pytest.raises(IkError, match=r"within the limits of ur5e .*wrist_3_joint 370\.0"):
        UR5E_ARM.solve(UR5E_ARM.tcp_pose(beyond), beyond)


def test_solving_leaves_the_seed_alone():
    seed = np.radians([0.0, -90.0, 90.0, -90.0, -90.0, 0.0])
    kept = seed.copy()

    UR5E_ARM.solve(UR5E_ARM.tcp_pose(seed + 0.1), seed)

    np.testing.assert_array_equal(seed, kept)
