"""Tests for commissioning/track.py and timed_path.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.commissioning.timed_path import TimedPath
from carp_ros.commissioning.track import Track
from carp_ros.geometry import rotation_between
from carp_ros.types import Pose

START = Pose(np.array([0.4, 0.1, 0.3]), np.array([0.0, 0.0, 0.0, 1.0]))
FLOATS = st.floats(-0.3, 0.3)
VECTORS = st.tuples(FLOATS, FLOATS, FLOATS).map(np.array)


def straight_track(speed_m_s=0.1, seconds=1.0, rest_s=0.5):
    """Return a track along x at a speed, sampled at 100 Hz, that stands still at its end."""
    times_s = np.arange(0.0, seconds + rest_s, 0.01)
    x = speed_m_s * np.minimum(times_s, seconds)
    positions = np.stack([x, 0 * x, 0 * x], axis=1)
    speeds = np.where(times_s < seconds, speed_m_s, 0.0)
    return Track((times_s * 1e9).astype(np.int64), positions, np.zeros((len(x), 6)), speeds)


def test_speed_way_and_line_of_a_straight_motion():
    track = straight_track(0.1)
    assert track.peak_speed_m_s == pytest.approx(0.1, rel=0.01)
    assert track.along(np.array([1.0, 0.0, 0.0]))[-1] == pytest.approx(0.1)
    assert track.off_line_m(np.array([1.0, 0.0, 0.0])) == pytest.approx(0.0)
    assert track.off_line_m(np.array([0.0, 1.0, 0.0])) == pytest.approx(0.1)
    assert track.spread_m == pytest.approx(0.1)


def test_a_stop_is_measured_from_when_it_was_told():
    stop = straight_track(0.1, seconds=1.0).stop_after(round(0.8e9))
    assert stop.speed_m_s == pytest.approx(0.1, rel=0.01)
    assert stop.metres == pytest.approx(0.02, abs=0.001)
    assert stop.seconds == pytest.approx(0.2, abs=0.02)


def test_an_arm_that_stood_stopped_at_once():
    stop = straight_track(0.1, seconds=0.2).stop_after(round(0.4e9))
    assert (stop.speed_m_s, stop.seconds, stop.metres) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_a_single_wrong_speed_is_no_peak():
    track = straight_track(0.1)
    track.speeds_m_s[30] = 0.3
    assert track.peak_speed_m_s == pytest.approx(0.14)


def test_a_single_sample_is_at_rest():
    track = Track.of([(0, np.zeros(3), np.zeros(6), 0.0)])
    assert (track.peak_speed_m_s, track.stop_after(0).metres) == (0.0, 0.0)


@given(VECTORS, VECTORS, st.floats(0.1, 20.0))
def test_a_path_begins_at_its_start_and_ends_shifted_and_turned(shift, turn, seconds):
    path = TimedPath(START, shift, turn, seconds)
    for time_s, share in ((-1.0, 0.0), (0.0, 0.0), (seconds, 1.0), (seconds + 1.0, 1.0)):
        pose = path.pose_at(time_s)
        assert pose.position == pytest.approx(START.position + share * shift)
        assert rotation_between(START.quaternion, pose.quaternion) == pytest.approx(
            share * turn, abs=1e-6
        )


@given(VECTORS.filter(lambda v: np.linalg.norm(v) > 1e-3), st.floats(0.005, 0.2))
def test_a_straight_path_s_highest_speed_is_the_one_asked_for(shift, peak_m_s):
    path = TimedPath.straight(START, shift, peak_m_s)
    times_s = np.linspace(0.0, path.seconds, 400)
    positions = np.stack([path.pose_at(float(t)).position for t in times_s])
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / np.diff(times_s)
    assert speeds.max() == pytest.approx(peak_m_s, rel=0.01)


def test_a_turn_may_be_more_than_half_a_turn():
    path = TimedPath.turned(START, np.array([0.0, 0.0, 4.0]), 0.2)
    half = path.pose_at(path.seconds / 2.0)
    assert rotation_between(START.quaternion, half.quaternion) == pytest.approx([0.0, 0.0, 2.0])


@given(st.integers(0, 3 * 10**9))
def test_two_plans_of_one_path_share_their_steps(now_ns):
    path = TimedPath.straight(START, np.array([0.1, 0.0, 0.0]), 0.05)
    one, two = (path.chunk(t, 10**9, 0.0).times_ns for t in (now_ns, now_ns + 123_456_789))
    assert len(np.intersect1d(one, two)) >= len(one) - 2
    assert (np.diff(one) == 10**8).all()


def test_a_chunk_is_the_next_second_of_the_path():
    path = TimedPath.straight(START, np.array([0.1, 0.0, 0.0]), 0.05)
    chunk = path.chunk(now_ns=2 * 10**9, begun_ns=10**9, gripper=0.3)
    assert (chunk.stamp_ns, int(chunk.times_ns[-1])) == (2 * 10**9, 31 * 10**8)
    assert int(chunk.times_ns[0]) < 2 * 10**9
    for time_ns, position in zip(chunk.times_ns, chunk.positions):
        assert position == pytest.approx(path.pose_at((int(time_ns) - 10**9) * 1e-9).position)
    assert set(chunk.gripper) == {0.3}
