"""Tests for control/wrench.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.wrench import WrenchAtTcp
from carp_ros.geometry import matrix_from_quaternion, quaternion_from_rotvec
from carp_ros.types import Pose

STRAIGHT = np.array([0.0, 0.0, 0.0, 1.0])
vectors = st.tuples(*[st.floats(-3.0, 3.0)] * 3).map(np.array)
poses = st.builds(Pose, vectors, vectors.map(quaternion_from_rotvec))
wrenches = st.tuples(*[st.floats(-100.0, 100.0)] * 6).map(np.array)


def test_a_force_at_the_tip_has_no_torque_there_and_its_lever_at_the_flange():
    at_tcp = WrenchAtTcp(Pose(np.array([0.0, 0.0, 0.2]), STRAIGHT))
    down = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))  # the tool points down
    # 10 N along the base's x at the tip, 0.2 m below the flange: -2 Nm about the base's y
    found = at_tcp.of(np.array([10.0, 0.0, 0.0, 0.0, -2.0, 0.0]), down)
    np.testing.assert_allclose(found, [10.0, 0.0, 0.0, 0.0, 0.0, 0.0], atol=1e-12)
    up = at_tcp.of(np.array([0.0, 0.0, 5.0, 0.0, 0.0, 0.0]), down)  # from the table upwards
    np.testing.assert_allclose(up, [0.0, 0.0, -5.0, 0.0, 0.0, 0.0], atol=1e-12)


@given(wrenches, poses, poses, st.tuples(vectors, vectors))
def test_the_power_of_a_wrench_is_the_same_about_both_points(wrench, tcp, pose, motion):
    """What an arm's motion does against a wrench depends on neither point nor axes."""
    linear, angular = motion  # of the flange, in base axes
    rotation = matrix_from_quaternion(pose.quaternion)
    to_tcp = rotation @ matrix_from_quaternion(tcp.quaternion).T @ tcp.position
    tcp_linear = linear + np.cross(angular, to_tcp)
    found = WrenchAtTcp(tcp).of(wrench, pose)
    power = found[:3] @ rotation.T @ tcp_linear + found[3:] @ rotation.T @ angular
    np.testing.assert_allclose(power, wrench[:3] @ linear + wrench[3:] @ angular, atol=1e-8)


@given(wrenches, poses, poses)
def test_there_and_back_again(wrench, tcp, pose):
    both = WrenchAtTcp(tcp)
    back = both.at_flange(both.of(wrench, pose), pose)
    np.testing.assert_allclose(back, wrench, atol=1e-9)
