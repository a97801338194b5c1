"""Tests for control/schedule.py: paths meet their waypoints smoothly; switches are no jumps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.schedule import PosePath, Schedule
from carp_ros.geometry import (
    pose_difference,
    quaternion_from_rotvec,
    quaternion_multiply,
    rotation_between,
)
from carp_ros.rig_sections import Lead
from carp_ros.types import Chunk, Pose, Twist

START_NS = 7_000_000_000
PROBE_NS = 10_000
OVER_S = 0.15

positions = st.tuples(*[st.floats(-0.1, 0.1)] * 3).map(np.array)
turns = st.tuples(*[st.floats(-0.17, 0.17)] * 3).map(np.array)  # up to 0.3 rad
rotations = st.tuples(*[st.floats(-1.8, 1.8)] * 3).map(np.array).map(quaternion_from_rotvec)
velocities = st.tuples(*[st.floats(-0.6, 0.6)] * 3).map(np.array)
steps = st.tuples(positions, turns, st.integers(50, 300), st.floats(0.0, 1.0))
fast = settings(max_examples=30, deadline=None)


def chunk_of(first, steps):
    """Return a chunk whose step i is turned by turns[i] from the one before, at uneven times."""
    quaternions = [first]
    for _, turn, _, _ in steps[1:]:
        quaternions.append(quaternion_multiply(quaternion_from_rotvec(turn), quaternions[-1]))
    after_ms = np.cumsum([0] + [ms for _, _, ms, _ in steps[1:]])
    return Chunk(
        stamp_ns=START_NS,
        times_ns=START_NS + after_ms * 1_000_000,
        positions=np.array([position for position, *_ in steps]),
        quaternions=np.array(quaternions),
        gripper=np.array([closure for *_, closure in steps]),
    )


chunks = st.builds(chunk_of, rotations, st.lists(steps, min_size=1, max_size=5))
long_chunks = st.builds(chunk_of, rotations, st.lists(steps, min_size=3, max_size=5))


def chunk_along(position, rotvec, times_s):
    """Return a chunk through two functions of time."""
    return Chunk(
        stamp_ns=START_NS,
        times_ns=START_NS + np.round(np.array(times_s) * 1e9).astype(np.int64),
        positions=np.array([position(t) for t in times_s]),
        quaternions=np.array([quaternion_from_rotvec(rotvec(t)) for t in times_s]),
        gripper=np.zeros(len(times_s)),
    )


def moved(pose, offset, turn):
    rotation = quaternion_from_rotvec(turn)
    return Pose(pose.position + offset, quaternion_multiply(rotation, pose.quaternion))


def velocity_after(path, now_ns):
    """Return the velocity from `now_ns` on, of shape (6,), to second order."""
    at, middle, end = (path.sample(now_ns + i * PROBE_NS)[0] for i in range(3))
    step, double = pose_difference(at, middle), pose_difference(at, end)
    return (4.0 * step - double) / (2.0 * PROBE_NS * 1e-9)


def velocity_before(path, now_ns):
    """Return the velocity up to `now_ns`, of shape (6,), to second order."""
    at, middle, end = (path.sample(now_ns - i * PROBE_NS)[0] for i in range(3))
    step, double = pose_difference(at, middle), pose_difference(at, end)
    return (double - 4.0 * step) / (2.0 * PROBE_NS * 1e-9)


@fast
@given(chunks)
def test_a_path_passes_through_every_waypoint_at_its_time(chunk):
    path = PosePath(chunk)

    for i, time_ns in enumerate(chunk.times_ns.tolist()):
        pose, closure = path.sample(time_ns)
        np.testing.assert_allclose(pose.position, chunk.positions[i], atol=1e-12)
        assert np.abs(rotation_between(pose.quaternion, chunk.quaternions[i])).max() < 1e-9
        assert closure == pytest.approx(chunk.gripper[i])


@fast
@given(long_chunks)
def test_the_velocity_is_continuous_across_waypoints_and_ends_at_zero(chunk):
    path = PosePath(chunk)

    for time_ns in chunk.times_ns[1:-1].tolist():
        before, after = velocity_before(path, time_ns), velocity_after(path, time_ns)
        np.testing.assert_allclose(before, after, atol=2e-5)
    np.testing.assert_allclose(velocity_before(path, path.end_ns), np.zeros(6), atol=2e-5)


def test_the_turn_rate_is_continuous_even_where_the_path_turns_far_in_one_step():
    turns = [np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.5, 0.5]), np.ones(3)]
    chunk = chunk_of(np.array([0.0, 0.0, 0.0, 1.0]), [(np.zeros(3), t, 100, 0.0) for t in turns])
    path = PosePath(chunk)

    for time_ns in chunk.times_ns[1:-1].tolist():
        before, after = velocity_before(path, time_ns), velocity_after(path, time_ns)
        np.testing.assert_allclose(before, after, atol=2e-5)


@fast
@given(chunks, st.integers(0, 10**12))
def test_a_path_stands_on_its_first_pose_before_and_on_its_last_pose_after(chunk, away_ns):
    path = PosePath(chunk)

    for now_ns, i in ((path.start_ns - away_ns, 0), (path.end_ns + away_ns, -1)):
        pose, closure = path.sample(now_ns)
        np.testing.assert_array_equal(pose.position, chunk.positions[i])
        np.testing.assert_allclose(pose.quaternion, chunk.quaternions[i], atol=1e-12)
        assert closure == chunk.gripper[i]


@fast
@given(chunks, st.floats(0.0, 1.0))
def test_the_gripper_closes_evenly_between_two_steps(chunk, share):
    path = PosePath(chunk)
    now_ns = path.start_ns + round(share * (path.end_ns - path.start_ns))

    expected = np.interp(now_ns - START_NS, chunk.times_ns - START_NS, chunk.gripper)
    assert path.sample(now_ns)[1] == pytest.approx(expected, abs=1e-9)


@fast
@given(velocities, velocities, st.floats(0.0, 0.499))
def test_constant_velocity_is_met_between_the_steps_at_uneven_times(linear, angular, after_s):
    times_s = [0.0, 0.1, 0.25, 0.3, 0.5, 0.6]
    path = PosePath(chunk_along(lambda t: linear * t, lambda t: angular * t, times_s))

    pose, _ = path.sample(START_NS + round(after_s * 1e9))
    np.testing.assert_allclose(pose.position, linear * after_s, atol=1e-8)
    there = quaternion_from_rotvec(angular * after_s)
    assert np.abs(rotation_between(pose.quaternion, there)).max() < 1e-8


@fast
@given(velocities, velocities, velocities, st.floats(0.1, 0.499))
def test_constant_acceleration_is_met_between_inner_steps_at_uneven_times(v, a, axis, after_s):
    def position(t):
        return v * t + 0.5 * a * t * t

    def rotvec(t):
        return axis * (0.3 * t + 0.5 * t * t)

    path = PosePath(chunk_along(position, rotvec, [0.0, 0.1, 0.25, 0.3, 0.5, 0.6]))

    pose, _ = path.sample(START_NS + round(after_s * 1e9))
    np.testing.assert_allclose(pose.position, position(after_s), atol=1e-8)
    there = quaternion_from_rotvec(rotvec(after_s))
    assert np.abs(rotation_between(pose.quaternion, there)).max() < 1e-8


def test_a_quaternion_and_its_negative_give_one_path():
    turn = np.array([0.0, 0.0, 0.2])
    chunk = chunk_along(lambda t: np.zeros(3), lambda t: turn * t * 10.0, [0.0, 0.1, 0.2])
    flipped = Chunk(
        chunk.stamp_ns,
        chunk.times_ns,
        chunk.positions,
        chunk.quaternions * np.array([[1.0], [-1.0], [1.0]]),
        chunk.gripper,
    )

    for now_ns in range(START_NS, START_NS + 200_000_000, 20_000_000):
        a, b = PosePath(chunk).sample(now_ns)[0], PosePath(flipped).sample(now_ns)[0]
        assert np.abs(rotation_between(a.quaternion, b.quaternion)).max() < 1e-12


# a switch up to 50 ms before the plan begins, or anywhere in it, but not as it begins: there the
# plan itself goes from rest to its first velocity at once
shares = st.floats(0.01, 1.0)


@fast
@given(chunks, shares, positions, turns, velocities, velocities)
def test_at_the_switch_the_schedule_is_and_moves_as_the_tool_does(
    chunk, share, offset, turn, linear, angular
):
    now_ns = START_NS + round(share * int(chunk.times_ns[-1] - START_NS))
    due, _ = PosePath(chunk).sample(now_ns)
    tool = moved(due, offset, turn)

    schedule = Schedule(chunk, now_ns, tool, Twist(linear, angular), OVER_S)

    here, _ = schedule.sample(now_ns)
    assert np.abs(pose_difference(here, tool)).max() < 1e-9
    moves = velocity_after(schedule, now_ns)
    np.testing.assert_allclose(moves, np.concatenate([linear, angular]), atol=1e-3)


@fast
@given(chunks, shares, positions, turns, velocities, velocities, st.integers(0, 10**10))
def test_once_the_fade_is_over_the_schedule_is_the_path(
    chunk, share, offset, turn, linear, angular, later_ns
):
    now_ns = START_NS + round(share * int(chunk.times_ns[-1] - START_NS))
    path = PosePath(chunk)
    due, closure = path.sample(now_ns)
    tool = moved(due, offset, turn)

    schedule = Schedule(chunk, now_ns, tool, Twist(linear, angular), OVER_S)

    assert schedule.sample(now_ns)[1] == closure  # the gripper has nothing to fade
    after_ns = now_ns + round(OVER_S * 1e9) + later_ns
    expected, closure = path.sample(after_ns)
    pose, now_closure = schedule.sample(after_ns)
    np.testing.assert_array_equal(pose.position, expected.position)
    np.testing.assert_array_equal(pose.quaternion, expected.quaternion)
    assert now_closure == closure
    assert schedule.end_ns == path.end_ns


@fast
@given(chunks, turns, velocities)
def test_the_fade_itself_ends_at_rest(chunk, turn, angular):
    tool = moved(Pose(chunk.positions[-1], chunk.quaternions[-1]), np.full(3, 0.05), turn)
    end_ns = int(chunk.times_ns[-1])
    schedule = Schedule(chunk, end_ns, tool, Twist(angular, angular), OVER_S)

    over_ns = end_ns + round(OVER_S * 1e9)
    np.testing.assert_allclose(velocity_before(schedule, over_ns), np.zeros(6), atol=1e-3)


@fast
@given(long_chunks, st.integers(-100, 200), st.integers(-100, 200), st.integers(0, 10**9))
def test_commands_that_lead_are_the_path_s_earlier_by_that_much(
    chunk, action_ms, gripper_ms, later_ns
):
    lead = Lead(action_ms * 1_000_000, gripper_ms * 1_000_000)
    path = PosePath(chunk)
    tool, _ = path.sample(START_NS + lead.action_ns)
    still = Twist(np.zeros(3), np.zeros(3))
    schedule = Schedule(chunk, START_NS, tool, still, OVER_S, lead)

    now_ns = START_NS + round(OVER_S * 1e9) + later_ns
    pose, closure = schedule.sample(now_ns)

    expected, _ = path.sample(now_ns + lead.action_ns)
    np.testing.assert_array_equal(pose.position, expected.position)
    np.testing.assert_array_equal(pose.quaternion, expected.quaternion)
    assert closure == path.sample(now_ns + lead.gripper_ns)[1]
    assert schedule.end_ns == path.end_ns - min(lead.action_ns, lead.gripper_ns)
