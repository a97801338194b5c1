"""Tests for control/limits.py: what is limited stays within the limits, tick after tick."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.limits import JointLimits, ToolLimits, braking_speed, clamp_norm
from carp_ros.rig import load_rig
from carp_ros.robots import FR3, UR5E

LIMITS = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml").limits
DT_S = 0.002
TOOL = ToolLimits(LIMITS, DT_S)
JOINTS = JointLimits(LIMITS, UR5E, DT_S)
LOWEST = np.array(UR5E.lower_rad) + LIMITS.joint_margin_rad
HIGHEST = np.array(UR5E.upper_rad) - LIMITS.joint_margin_rad
LINEAR_STEP = LIMITS.max_linear_acceleration_m_s2 * DT_S
ANGULAR_STEP = LIMITS.max_angular_acceleration_rad_s2 * DT_S
ROUNDING = 1.0 + 1e-9

fast = settings(max_examples=50, deadline=None)
vectors = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array)
twists = st.tuples(*[st.floats(-3.0, 3.0)] * 6).map(np.array)
places = st.tuples(*[st.floats(0.0, 1.0)] * 3).map(
    lambda share: (
        np.array(LIMITS.workspace_min_m)
        + np.array(share) * (np.array(LIMITS.workspace_max_m) - np.array(LIMITS.workspace_min_m))
    )
)
speeds = st.tuples(*[st.floats(-6.0, 6.0)] * 6).map(np.array)
joints_within = st.tuples(*[st.floats(0.0, 1.0)] * 6).map(
    lambda share: LOWEST + np.array(share) * (HIGHEST - LOWEST)
)


def within_speeds(twist):
    """Return the nearest twist that the tool's speed limits allow."""
    linear = clamp_norm(twist[:3], LIMITS.max_linear_speed_m_s)
    return np.concatenate([linear, clamp_norm(twist[3:], LIMITS.max_angular_speed_rad_s)])


@fast
@given(st.floats(1e-6, 1.0), st.floats(0.1, 10.0), st.sampled_from([0.001, 0.002, 0.008]))
def test_braking_tick_by_tick_stops_within_the_distance_and_the_deceleration(gap, brake, dt_s):
    left, speed = gap, braking_speed(gap, brake, dt_s)
    for _ in range(20_000):
        left -= speed * dt_s
        assert left >= -1e-12
        slower = braking_speed(left, brake, dt_s)
        # the last tick but one may have to lose up to an eighth more
        assert speed - slower <= 1.125 * brake * dt_s * ROUNDING + 1e-12
        speed = slower
        if speed == 0.0:
            break
    assert left < 1e-9
    assert speed < 1e-6


@given(st.floats(1e-4, 1.0), st.floats(0.1, 10.0))
def test_one_tick_of_deceleration_faster_could_not_stop(gap, brake):
    speed = braking_speed(gap, brake, DT_S) + brake * DT_S

    travelled = 0.0
    while speed > 0.0:
        travelled += speed * DT_S
        speed -= brake * DT_S
    assert travelled > gap


@pytest.mark.parametrize("distance", [0.0, -0.1])
def test_without_distance_there_is_no_speed(distance):
    assert braking_speed(distance, 1.0, DT_S) == 0.0


@given(vectors, st.floats(0.01, 2.0))
def test_clamping_shortens_what_is_too_long_and_nothing_else(vector, limit):
    clamped = clamp_norm(vector, limit)

    length = np.linalg.norm(vector)
    if length <= limit:
        np.testing.assert_array_equal(clamped, vector)
    else:
        np.testing.assert_allclose(clamped, vector / length * limit)


@given(twists, twists.map(within_speeds), places)
def test_the_tool_never_exceeds_speed_or_acceleration_whatever_is_wanted(wanted, last, position):
    limited = TOOL.limit(wanted, last, position)

    assert np.linalg.norm(limited[:3]) <= LIMITS.max_linear_speed_m_s * ROUNDING
    assert np.linalg.norm(limited[3:]) <= LIMITS.max_angular_speed_rad_s * ROUNDING
    change = limited - last
    assert np.linalg.norm(change[:3]) <= LINEAR_STEP * ROUNDING
    assert np.linalg.norm(change[3:]) <= ANGULAR_STEP * ROUNDING


@given(twists.map(within_speeds))
def test_a_wanted_velocity_within_the_limits_is_reached_exactly(wanted):
    middle = np.array([0.475, 0.0, 0.28])

    np.testing.assert_allclose(TOOL.limit(wanted, wanted, middle), wanted, atol=1e-15)
    reached = np.zeros(6)
    for _ in range(round(0.25 / LINEAR_STEP) + round(0.6 / ANGULAR_STEP)):
        reached = TOOL.limit(wanted, reached, middle)
    np.testing.assert_allclose(reached, wanted, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(vectors, min_size=2, max_size=4), places)
def test_the_tool_stops_at_the_walls_even_while_it_turns_round(directions, position):
    velocity = np.zeros(6)

    for direction in directions:
        wanted = np.concatenate([direction, np.zeros(3)])
        for _ in range(120):
            velocity = TOOL.limit(wanted, velocity, position)
            position = position + velocity[:3] * DT_S
            assert (position >= np.array(LIMITS.workspace_min_m) - 1e-9).all()
            assert (position <= np.array(LIMITS.workspace_max_m) + 1e-9).all()


def test_reversing_along_a_wall_does_not_take_the_braking_before_it():
    floor_m = LIMITS.workspace_min_m[2]
    position = np.array([0.4, 0.0, floor_m + 0.01])
    velocity = np.array([0.0, 0.24, -0.05, 0.0, 0.0, 0.0])

    for _ in range(300):
        last = velocity
        velocity = TOOL.limit(np.array([0.0, -1.0, -1.0, 0.0, 0.0, 0.0]), last, position)
        position = position + velocity[:3] * DT_S
        assert position[2] >= floor_m - 1e-9
        assert np.linalg.norm(velocity - last) <= LINEAR_STEP * ROUNDING


@given(vectors, st.floats(0.001, 0.2))
def test_outside_the_walls_the_way_out_is_closed_and_the_way_back_is_open(direction, out_m):
    corner = np.array(LIMITS.workspace_max_m) + out_m
    wanted = np.concatenate([direction * 0.1, np.zeros(3)])

    velocity = np.zeros(6)
    for _ in range(200):
        velocity = TOOL.limit(wanted, velocity, corner)

    np.testing.assert_allclose(velocity[:3], np.minimum(direction * 0.1, 0.0), atol=1e-12)


@given(vectors)
def test_inside_is_the_nearest_place_in_the_box(position):
    inside = TOOL.inside(position)

    np.testing.assert_array_equal(TOOL.inside(inside), inside)
    assert (inside >= np.array(LIMITS.workspace_min_m)).all()
    assert (inside <= np.array(LIMITS.workspace_max_m)).all()
    kept = inside == position
    on_wall = (inside == np.array(LIMITS.workspace_min_m)) | (
        inside == np.array(LIMITS.workspace_max_m)
    )
    assert (kept | on_wall).all()


@given(vectors, vectors)
def test_an_error_is_approached_straight_and_so_that_it_can_be_braked(step, turn):
    velocity = TOOL.approach(np.concatenate([step, turn]))

    for part, error, limit in (
        (velocity[:3], step, LIMITS.max_linear_acceleration_m_s2),
        (velocity[3:], turn, LIMITS.max_angular_acceleration_rad_s2),
    ):
        distance = float(np.linalg.norm(error))
        speed = float(np.linalg.norm(part))
        assert part @ error == pytest.approx(speed * distance)
        assert speed * DT_S <= distance * ROUNDING
        assert speed**2 / (2.0 * limit) <= distance * ROUNDING


@given(vectors, vectors, vectors, vectors)
def test_the_reachable_share_is_the_largest_that_the_accelerations_allow(v, w, dv, dw):
    unchanged = np.concatenate([v * LINEAR_STEP, w * ANGULAR_STEP]) / math.sqrt(3.01)
    change = np.concatenate([dv, dw])
    steps = (LINEAR_STEP, ANGULAR_STEP)

    def used(share):
        result = unchanged + share * change
        return max(np.linalg.norm(result[:3]) / steps[0], np.linalg.norm(result[3:]) / steps[1])

    share = TOOL.reachable(unchanged, change)

    assert 0.0 <= share <= 1.0
    assert used(share) <= 1.0 + 1e-6
    if share < 1.0:
        assert used(share) == pytest.approx(1.0, abs=1e-6)


@given(vectors, vectors)
def test_where_curvature_alone_exceeds_the_limits_the_whole_change_is_taken(along, change):
    beyond = np.concatenate([np.array([1.01 * LINEAR_STEP, 0.0, 0.0]), np.zeros(3)])

    assert TOOL.reachable(beyond, np.concatenate([change, np.zeros(3)])) == 1.0
    assert TOOL.reachable(np.concatenate([along, along]), np.zeros(6)) == 1.0


def test_a_change_too_small_to_square_is_taken_whole():
    along = np.array([1.0, 0.5, -0.3, 0.2, 0.7, -0.9])

    for size in (0.0, *10.0 ** np.arange(-165.0, -20.0)):
        assert TOOL.reachable(0.5 * LINEAR_STEP * along, size * along) == 1.0


@given(twists)
def test_the_speeds_used_are_the_larger_share_of_the_two_limits(velocity):
    linear = np.linalg.norm(velocity[:3]) / LIMITS.max_linear_speed_m_s
    angular = np.linalg.norm(velocity[3:]) / LIMITS.max_angular_speed_rad_s

    assert TOOL.speed_ratio(velocity) == pytest.approx(max(linear, angular))


@given(speeds, joints_within)
def test_slowing_joints_keeps_their_direction_and_obeys_their_speeds(wanted, joints):
    slowed = JOINTS.slow(wanted, joints)

    assert np.abs(slowed).max() <= LIMITS.max_joint_speed_rad_s * ROUNDING
    fastest = int(np.argmax(np.abs(wanted)))
    share = slowed[fastest] / wanted[fastest] if wanted.any() else 1.0
    assert 0.0 <= share <= ROUNDING
    np.testing.assert_allclose(slowed, share * wanted, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(speeds, joints_within)
def test_joints_brake_before_their_stops_and_never_pass_them(wanted, joints):
    braking = 0.5 * JOINTS.acceleration * DT_S * 1.125  # of the joint that nears its stop

    last = JOINTS.slow(wanted, joints)
    for _ in range(300):
        joints = joints + last * DT_S
        assert (joints >= LOWEST - 1e-9).all()
        assert (joints <= HIGHEST + 1e-9).all()
        slowed = JOINTS.slow(wanted, joints)
        assert (np.abs(slowed - last) <= braking * ROUNDING + 1e-12).any()
        last = slowed


@given(st.floats(0.0, 0.2), st.integers(0, 5), st.sampled_from([-1.0, 1.0]))
def test_towards_its_stop_a_joint_is_as_fast_as_half_its_acceleration_can_brake(gap, joint, way):
    joints = 0.5 * (LOWEST + HIGHEST)
    joints[joint] = HIGHEST[joint] - gap if way > 0.0 else LOWEST[joint] + gap
    wanted = 5.0 * way * np.eye(6)[joint]

    slowed = JOINTS.slow(wanted, joints)

    can_brake = braking_speed(gap, 0.5 * LIMITS.max_joint_acceleration_rad_s2, DT_S)
    expected = min(can_brake, LIMITS.max_joint_speed_rad_s)
    assert slowed[joint] == pytest.approx(way * expected, abs=1e-9)


def test_a_joint_at_its_stop_may_leave_it_but_not_go_on():
    for stop, outward in ((HIGHEST, 1.0), (LOWEST, -1.0)):
        assert not JOINTS.slow(np.full(6, outward), stop).any()
        assert (JOINTS.slow(np.full(6, -outward), stop) == -outward).all()


def test_no_joint_is_faster_than_half_of_what_its_maker_allows():
    config = dataclasses.replace(
        LIMITS, max_joint_speed_rad_s=100.0, max_joint_acceleration_rad_s2=100.0
    )
    for robot in (UR5E, FR3):
        limits = JointLimits(config, robot, DT_S)
        middle = 0.5 * (np.array(robot.lower_rad) + np.array(robot.upper_rad))
        for i, fastest in enumerate(robot.max_speed_rad_s):
            wanted = np.zeros(len(middle))
            wanted[i] = 50.0
            assert limits.slow(wanted, middle)[i] == pytest.approx(0.5 * fastest)
        np.testing.assert_array_equal(limits.acceleration, robot.max_acceleration_rad_s2)


@given(speeds)
def test_the_reachable_share_of_a_joint_change_is_the_largest(change):
    share = JOINTS.reachable(change)

    used = np.abs(share * change) / (JOINTS.acceleration * DT_S)
    assert used.max() <= ROUNDING
    assert share == 1.0 or used.max() == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(speeds)
def test_approaching_a_joint_goal_ends_on_it_in_step(error):
    left = error.copy()
    direction = error / np.abs(error).max() if error.any() else error

    last = JOINTS.approach(left)
    for _ in range(3000):
        left = left - last * DT_S
        np.testing.assert_allclose(left, direction * np.abs(left).max(), atol=1e-9)
        slower = JOINTS.approach(left)
        assert (
            last * direction - slower * direction <= JOINTS.acceleration * DT_S * ROUNDING
        ).all()
        last = slower
        if not last.any():
            break
    assert np.abs(left).max() < 1e-9


@fast
@given(joints_within, st.lists(st.tuples(speeds, st.integers(1, 60)), min_size=1, max_size=12))
def test_no_joint_passes_its_stop_and_none_changes_faster_than_it_can(joints, wishes):
    last, most = np.zeros(6), JOINTS.acceleration * DT_S

    for wanted, ticks in wishes:
        for _ in range(ticks):
            # what the servo hands over: any share of the way from the last velocities to the wanted
            velocities = JOINTS.braked(last + 0.3 * (wanted - last), last, joints)

            assert (np.abs(velocities - last) <= most * ROUNDING + 1e-12).all()
            joints, last = joints + velocities * DT_S, velocities
            assert (joints >= LOWEST - 1e-9).all()
            assert (joints <= HIGHEST + 1e-9).all()
