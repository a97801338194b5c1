"""Tests for control/posture.py: the tool goes where it is asked to, and no joint wedges."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carp_ros.control.ik import DifferentialIk
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.limits import JointLimits
from carp_ros.control.posture import Posture
from carp_ros.control.servo import Servo, ServoMode
from carp_ros.geometry import (
    matrix_from_quaternion,
    pose_difference,
    quaternion_from_matrix,
    quaternion_from_rotvec,
    quaternion_multiply,
)
from carp_ros.rig import load_rig
from carp_ros.robots import FR3
from carp_ros.types import Chunk, Pose, Twist

RIG = load_rig(Path(__file__).parents[2] / "config" / "fr3_sim.yaml")
LIMITS, HOME = RIG.limits, np.array(RIG.home_joints_rad)
ARM = Kinematics(FR3, RIG.tool.flange_from_tcp)
IK = DifferentialIk(ARM, LIMITS)
PERIOD_S = 0.002
RANGES = JointLimits(LIMITS, FR3, PERIOD_S)
POSTURE = Posture(FR3, RANGES, HOME, PERIOD_S)
LOWER, UPPER = np.array(FR3.lower_rad), np.array(FR3.upper_rad)
SHOULDER_M, WRIST_TO_TCP_M = np.array([0.0, 0.0, 0.333]), 0.2104
DOWN = quaternion_from_matrix(np.diag([1.0, -1.0, -1.0]))

# a person may have guided the arm anywhere, to a stop too
joints_anywhere = st.tuples(*map(st.floats, FR3.lower_rad, FR3.upper_rad)).map(np.array)
twists = st.tuples(*[st.floats(-0.3, 0.3)] * 6).map(np.array)


def resolve(joints, twist):
    jacobian = ARM.jacobian(joints)
    step = IK.solve(twist, joints, jacobian)
    assert step.self_motion is not None
    still = np.zeros(7)
    velocities = POSTURE.add(step.velocities, step.self_motion, joints, still, twist)
    return jacobian, step, velocities


@settings(max_examples=100)
@given(joints_anywhere, twists)
def test_the_self_motion_does_not_move_the_tool(joints, twist):
    jacobian, step, velocities = resolve(joints, twist)

    assert np.abs(jacobian @ step.self_motion).max() < 1e-9
    asked, moved = jacobian @ step.velocities, jacobian @ velocities
    share = float((moved @ asked) / (asked @ asked)) if np.abs(asked).max() > 1e-9 else 1.0
    np.testing.assert_allclose(moved, share * asked, atol=1e-9)
    assert -1e-9 <= share <= 1.0 + 1e-9


@settings(max_examples=100)
@given(joints_anywhere, twists)
def test_no_joint_moves_faster_than_it_can_stop_before_its_stop(joints, twist):
    _, _, velocities = resolve(joints, twist)

    for velocity, (lowest, highest) in zip(velocities, RANGES.ranges(joints)):
        assert lowest - 1e-9 <= velocity <= highest + 1e-9


@settings(max_examples=40)
@given(joints_anywhere, twists)
def test_the_tool_is_slowed_only_where_no_self_motion_lets_it_go_faster(joints, twist):
    jacobian, step, velocities = resolve(joints, twist)
    asked = step.velocities
    tool = jacobian @ asked
    assume(np.linalg.norm(tool) > 1e-3)
    share = float((jacobian @ velocities) @ tool) / float(tool @ tool)
    low, high = np.array(RANGES.ranges(joints)).T

    faster = min(1.0, share + 0.01)
    if faster > share + 0.005:
        inside = [
            (faster * asked + z * step.self_motion >= low - 1e-9).all()
            and (faster * asked + z * step.self_motion <= high + 1e-9).all()
            for z in np.linspace(-2.5, 2.5, 1001)
        ]
        assert not any(inside)


@given(joints_anywhere)
def test_an_arm_whose_tool_stands_still_does_not_move_itself(joints):
    _, _, velocities = resolve(joints, np.zeros(6))

    assert not velocities.any()


def make_servo(joints=HOME, posture=HOME):
    return Servo(ARM, LIMITS, PERIOD_S, RIG.servo.blend_s, joints, 0.0, posture)


def goals(seed):
    """Yield tool poses all over the workspace, tilted and turned, that the arm can reach."""
    rng = np.random.default_rng(seed)
    while True:
        position = rng.uniform(LIMITS.workspace_min_m, LIMITS.workspace_max_m)
        azimuth, tilt, yaw = rng.uniform([-np.pi, 0.0, -1.0], [np.pi, 0.5, 1.0])
        tilted = quaternion_from_rotvec(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
        turned = quaternion_from_rotvec(np.array([0.0, 0.0, yaw]))
        quaternion = quaternion_multiply(tilted, quaternion_multiply(turned, DOWN))
        wrist = position - WRIST_TO_TCP_M * matrix_from_quaternion(quaternion)[:, 2]
        if 0.3 < np.linalg.norm(wrist - SHOULDER_M) < 0.6:
            yield Pose(position, quaternion)


def go_to(servo, goal, now_ns):
    """Steer the tool to a pose as a person does; return the time, and the joints on the way."""
    joints = []
    for tick in range(3000):
        now_ns += 2_000_000
        if tick % 5 == 0:
            gap = pose_difference(servo.pose, goal)
            if np.linalg.norm(gap[:3]) < 2e-3 and np.linalg.norm(gap[3:]) < 1e-2:
                return now_ns, joints
            wanted = 4.0 * gap
            wanted[:3] *= min(1.0, 0.24 / max(1e-9, np.linalg.norm(wanted[:3])))
            wanted[3:] *= min(1.0, 0.58 / max(1e-9, np.linalg.norm(wanted[3:])))
            servo.follow_twist(Twist(wanted[:3], wanted[3:]), 0.0, now_ns)
        joints.append(servo.step(now_ns).joints)
    raise AssertionError(f"stuck at {FR3.joints_text(joints[-1])}, {gap.round(3)} from {goal}")


@pytest.mark.parametrize("seed", [0, 1])
def test_on_a_long_walk_all_over_the_workspace_the_arm_is_never_stuck(seed):
    """With the smallest joint velocities alone, it stuck at a stop on the way to 5 of 25 goals."""
    servo, now_ns = make_servo(), 1_000_000_000
    for goal in itertools.islice(goals(seed), 8):
        now_ns, joints = go_to(servo, goal, now_ns)
        for at in joints:
            assert (at > LOWER + LIMITS.joint_margin_rad - 1e-9).all()
            assert (at < UPPER - LIMITS.joint_margin_rad + 1e-9).all()


def test_after_a_long_way_round_the_arm_is_near_its_posture_again():
    servo, now_ns = make_servo(), 1_000_000_000
    home = ARM.tcp_pose(HOME)
    aside = Pose(home.position + np.array([0.0, 0.1, 0.0]), home.quaternion)
    for goal in [*itertools.islice(goals(2), 3), home, aside, home, aside, home]:
        now_ns, _ = go_to(servo, goal, now_ns)

    joints = servo.step(now_ns).joints
    assert np.abs(joints - HOME).max() < 0.2


def test_a_chunk_of_joint_targets_takes_the_tool_where_those_joints_would():
    """As a policy of joint targets sends it: its tool poses are those of its joints."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        goal = HOME + rng.uniform(-0.25, 0.25, 7)
        eased = [(1.0 - np.cos(np.pi * u)) / 2.0 for u in np.linspace(0.0, 1.0, 25)]
        tools = [ARM.tcp_pose(HOME + u * (goal - HOME)) for u in eased]
        now_ns = 1_000_000_000
        chunk = Chunk(
            stamp_ns=now_ns,
            times_ns=now_ns + 100_000_000 * np.arange(25),
            positions=np.array([tool.position for tool in tools]),
            quaternions=np.array([tool.quaternion for tool in tools]),
            gripper=np.zeros(25),
        )
        servo = make_servo()
        servo.follow_chunk(chunk, now_ns)
        for tick in range(1400):
            servo.step(now_ns + tick * 2_000_000)

        gap = pose_difference(servo.pose, tools[-1])
        assert np.linalg.norm(gap[:3]) < 2e-3
        assert np.linalg.norm(gap[3:]) < 1e-2
        assert servo.mode in (ServoMode.CHUNK, ServoMode.HOLD)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_joints_for_a_pose_are_found_within_the_limits(seed):
    goal = next(goals(seed))

    joints = ARM.solve(goal, HOME)

    gap = pose_difference(ARM.tcp_pose(joints), goal)
    assert np.abs(gap).max() < 1e-5
    assert (joints >= LOWER).all()
    assert (joints <= UPPER).all()


# franka_description, robots/fr3/joint_limits.yaml: of position-based velocity limits
STOPS_LOWER = np.array([-2.9007, -1.8361, -2.9007, -3.077, -2.8763, 0.4398, -3.0508])
STOPS_UPPER = np.array([2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508])
DECELERATION = np.array([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0])
OFFSET = np.array([0.652, 0.25, 0.2005, 0.3542, 0.5738, 0.4885, 0.4592])


@pytest.mark.parametrize("name", ["fr3", "fr3_sim"])
def test_a_rig_brakes_before_a_stop_at_a_speed_that_the_robot_allows_there(name):
    rig = load_rig(Path(__file__).parents[2] / "config" / f"{name}.yaml")
    ranges = JointLimits(rig.limits, FR3, PERIOD_S)
    for share in np.linspace(0.0, 1.0, 201):
        joints = LOWER + share * (UPPER - LOWER)
        low, high = np.array(ranges.ranges(joints)).T
        upwards = -OFFSET + np.sqrt(np.maximum(2.0 * DECELERATION * (STOPS_UPPER - joints), 0.0))
        downwards = -OFFSET + np.sqrt(np.maximum(2.0 * DECELERATION * (joints - STOPS_LOWER), 0.0))
        assert (high <= np.maximum(np.minimum(upwards, FR3.max_speed_rad_s), 0.0)).all()
        assert (-low <= np.maximum(np.minimum(downwards, FR3.max_speed_rad_s), 0.0)).all()
