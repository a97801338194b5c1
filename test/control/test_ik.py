"""Tests for control/ik.py: exact away from singularities, slow and bounded towards them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from carp_ros.control.ik import DifferentialIk
from carp_ros.control.kinematics import Kinematics
from carp_ros.rig import load_rig
from carp_ros.robots import FR3, UR5E
from carp_ros.types import Pose

LIMITS = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml").limits
TOOL = Pose(np.array([0.0, 0.0, 0.1558]), np.array([0.0, 0.0, 0.0, 1.0]))
ARMS = {robot.name: Kinematics(robot, TOOL) for robot in (UR5E, FR3)}
IKS = {name: DifferentialIk(arm, LIMITS) for name, arm in ARMS.items()}
NO_SLOWING = dataclasses.replace(LIMITS, condition_slow=1e12, condition_stop=1e13)
ELBOW_BENT = np.array([0.0, -1.2, 1.5, -1.8, -1.5708, 0.0])
SMALLEST_UNDAMPED = 0.03
HIGHEST_GAIN = 34.0  # 1 / (2 damping sqrt(1 - (damping / smallest)^2)), here 33.5

fast = settings(max_examples=50, deadline=None)
twists = st.tuples(*[st.floats(-0.5, 0.5)] * 6).map(np.array)


def joints_of(robot):
    limits = zip(robot.lower_rad, robot.upper_rad)
    return st.tuples(*(st.floats(low, high) for low, high in limits)).map(np.array)


def solve(name, twist, joints):
    _, jacobian = ARMS[name].tcp_pose_and_jacobian(joints)
    return IKS[name].solve(twist, joints, jacobian), jacobian


@pytest.mark.parametrize("name", ARMS)
@settings(fast, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), twist=twists)
def test_away_from_singularities_the_tool_moves_exactly_as_asked(name, data, twist):
    joints = data.draw(joints_of(ARMS[name].robot))
    step, jacobian = solve(name, twist, joints)
    assume(step.condition < LIMITS.condition_slow)
    assume(np.linalg.svd(jacobian)[1][-1] > SMALLEST_UNDAMPED)

    np.testing.assert_allclose(jacobian @ step.velocities, twist, atol=1e-10)
    # of all joint velocities that do so, the smallest: no part in the null space
    np.testing.assert_allclose(
        step.velocities, np.linalg.pinv(jacobian) @ jacobian @ step.velocities, atol=1e-10
    )


@pytest.mark.parametrize("name", ARMS)
@fast
@given(data=st.data())
def test_the_condition_is_that_of_the_jacobian(name, data):
    step, jacobian = solve(name, np.zeros(6), data.draw(joints_of(ARMS[name].robot)))
    assume(step.condition < 1e6)

    assert step.condition == pytest.approx(np.linalg.cond(jacobian), rel=1e-6)
    assert not step.velocities.any()


@pytest.mark.parametrize("name", ARMS)
@fast
@given(data=st.data(), twist=twists)
def test_joint_velocities_are_bounded_everywhere(name, data, twist):
    step, _ = solve(name, twist, data.draw(joints_of(ARMS[name].robot)))

    assert np.linalg.norm(step.velocities) <= HIGHEST_GAIN * np.linalg.norm(twist)


def test_damping_lets_no_joint_race_where_one_direction_is_almost_lost():
    joints = ELBOW_BENT.copy()
    gains = []
    for wrist_2 in np.linspace(0.0, 0.2, 60):
        joints[4] = wrist_2
        _, jacobian = ARMS["ur5e"].tcp_pose_and_jacobian(joints)
        left, singular, _ = np.linalg.svd(jacobian)
        unslowed = DifferentialIk(ARMS["ur5e"], NO_SLOWING)
        step = unslowed.solve(left[:, -1], joints, jacobian)
        gains.append(np.linalg.norm(step.velocities) * SMALLEST_UNDAMPED)
        if singular[-1] > SMALLEST_UNDAMPED:
            assert gains[-1] == pytest.approx(SMALLEST_UNDAMPED / singular[-1])
    assert gains[0] < 1e-6
    assert 1.0 < max(gains) < 1.02


@given(st.floats(-0.1, 0.1), twists)
@fast
def test_joint_velocities_are_bounded_through_the_wrist_singularity(wrist_2, twist):
    joints = ELBOW_BENT.copy()
    joints[4] = wrist_2

    step, _ = solve("ur5e", twist, joints)

    assert np.isfinite(step.velocities).all()
    assert np.linalg.norm(step.velocities) <= HIGHEST_GAIN * np.linalg.norm(twist)


def test_in_the_wrist_singularity_nothing_moves_the_tool_further_into_it():
    joints = ELBOW_BENT.copy()
    joints[4] = 0.0
    _, jacobian = ARMS["ur5e"].tcp_pose_and_jacobian(joints)
    lost = np.linalg.svd(jacobian)[0][:, -1]  # the direction that no joint moves the tool in

    step, _ = solve("ur5e", 0.1 * lost, joints)

    assert step.condition > LIMITS.condition_stop
    assert np.abs(step.velocities).max() < 1e-6


def elbow(angle):
    """Return joints with the elbow bent by `angle`, and the direction in which that lessens."""
    joints = np.array([0.0, -1.2, angle, -1.2, -1.5708, 0.0])
    pose, _ = ARMS["ur5e"].tcp_pose_and_jacobian(joints)
    straighter = ARMS["ur5e"].tcp_pose(joints - np.array([0.0, -0.5, 1.0, 0.0, 0.0, 0.0]) * 1e-4)
    out = np.zeros(6)
    out[:3] = straighter.position - pose.position
    return joints, 0.1 * out / np.linalg.norm(out)


def test_motion_slows_towards_a_singularity_and_not_away_from_it():
    speeds = {}
    for angle in np.arange(0.60, 0.04, -0.02):
        joints, out = elbow(angle)
        step, jacobian = solve("ur5e", out, joints)
        share = float((jacobian @ step.velocities) @ out / (out @ out))
        speeds[step.condition] = share
        expected = np.clip((LIMITS.condition_stop - step.condition) / 35.0, 0.0, 1.0)
        assert share == pytest.approx(expected, abs=0.02)

        back, _ = solve("ur5e", -out, joints)
        if np.linalg.svd(jacobian)[1][-1] > SMALLEST_UNDAMPED:
            np.testing.assert_allclose(jacobian @ back.velocities, -out, atol=1e-9)
        assert back.velocities.any()
    between = [c for c in speeds if LIMITS.condition_slow < c < LIMITS.condition_stop]
    assert len(between) > 2
    assert min(speeds) < LIMITS.condition_slow
    assert max(speeds) > LIMITS.condition_stop
