"""Tests for recording/recorded_motion.py: what was recorded is done again, and compared rightly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.schedule import PosePath
from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.recording import messages
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.recorded_motion import PoseTrack, approach, read_motion
from carp_ros.types import Pose

from .conftest import INFO, START_NS, TOPICS

SECONDS = 4.0


def pose_at(seconds: float) -> Pose:
    position = np.array([0.5, 0.1 * np.sin(seconds), 0.2])
    return Pose(position, quaternion_from_rotvec(np.array([3.0, 0.0, 0.1 * seconds])))


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags") / "a"
    writer = BagWriter(folder, TOPICS, INFO)
    for tick in range(round(100 * SECONDS)):
        at_ns = START_NS + tick * 10_000_000
        pose = messages.encode_pose(pose_at(tick / 100), at_ns, "base")
        writer.write("/target_pose", at_ns, pose)
        writer.write("/tool_pose", at_ns, pose)
        if tick % 4 == 0:
            writer.write("/gripper_command", at_ns, messages.encode_number(float(tick >= 200)))
    writer.finish(INFO)
    return read_motion(folder, "base")


@settings(max_examples=50)
@given(st.integers(0, round((SECONDS - 1.1) * 1e9)), st.integers(-(10**15), 10**15))
def test_the_chunk_of_any_moment_leads_along_the_recorded_path(motion, after_ns, later_ns):
    now_ns = START_NS + after_ns + later_ns
    chunk = motion.chunk(now_ns, later_ns)
    path = PosePath(chunk)
    for ahead_s in (0.0, 0.2, 0.5):
        pose, _ = path.sample(now_ns + round(ahead_s * 1e9))
        wanted = pose_at(after_ns * 1e-9 + ahead_s)
        np.testing.assert_allclose(pose.position, wanted.position, atol=1e-4)
        np.testing.assert_allclose(abs(pose.quaternion @ wanted.quaternion), 1.0, atol=1e-6)


def test_the_gripper_closes_when_it_did(motion):
    closes_ns = motion.target_poses.times_ns[np.flatnonzero(motion.gripper)[0]]
    assert abs((closes_ns - START_NS) * 1e-9 - 2.0) <= 0.02


def test_before_the_beginning_the_chunk_waits_at_the_first_pose(motion):
    chunk = motion.chunk(START_NS - 300_000_000, 0)
    pose, _ = PosePath(chunk).sample(START_NS - 200_000_000)
    np.testing.assert_allclose(pose.position, pose_at(0.0).position)


def test_the_same_path_done_later_does_not_deviate(motion):
    later_ns = 7_000_000_123
    executed = PoseTrack(motion.tcp_poses.times_ns + later_ns, motion.tcp_poses.poses)
    deviation = motion.deviation(executed, later_ns)
    assert deviation.max_mm == pytest.approx(0.0, abs=1e-6)
    assert deviation.max_deg == pytest.approx(0.0, abs=1e-6)
    assert deviation.off_path_mm == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=20)
@given(st.integers(-250_000_000, 250_000_000))
def test_a_pose_that_is_measured_late_is_off_in_time_and_not_off_the_path(motion, late_ns):
    executed = PoseTrack(motion.tcp_poses.times_ns + late_ns, motion.tcp_poses.poses)
    deviation = motion.deviation(executed, 0)
    assert deviation.off_path_mm < 0.02
    assert deviation.max_mm == pytest.approx(abs(late_ns) * 1e-7, rel=0.1, abs=0.05)  # 0.1 m/s


@settings(max_examples=20)
@given(st.floats(-0.05, 0.05))
def test_a_shifted_path_deviates_by_the_shift(motion, shift_m):
    shift = np.array([0.0, 0.0, shift_m])
    poses = [Pose(pose.position + shift, pose.quaternion) for pose in motion.tcp_poses.poses]
    deviation = motion.deviation(PoseTrack(motion.tcp_poses.times_ns, poses), 0)
    assert deviation.mean_mm == pytest.approx(abs(shift_m) * 1e3)
    assert deviation.max_mm == pytest.approx(abs(shift_m) * 1e3)
    assert deviation.off_path_mm == pytest.approx(abs(shift_m) * 1e3)


def test_a_replay_without_tool_poses_is_refused(motion):
    with pytest.raises(ValueError, match="no tool pose"):
        motion.deviation(PoseTrack(np.array([0]), [pose_at(0.0)]), 0)


@given(st.floats(0.0, 0.6), st.floats(0.0, 1.5))
def test_the_approach_is_slow_and_ends_there_at_rest(distance_m, angle_rad):
    start = pose_at(0.0)
    end = Pose(
        start.position + np.array([distance_m, 0, 0]),
        quaternion_from_rotvec(np.array([3.0 - angle_rad, 0.0, 0.0])),
    )
    chunk = approach(start, end, 0.0, START_NS)
    steps_s = np.diff(chunk.times_ns) * 1e-9
    speeds = np.linalg.norm(np.diff(chunk.positions, axis=0), axis=1) / steps_s
    assert speeds.max() <= 0.105
    np.testing.assert_allclose(chunk.positions[-1], end.position)
    assert speeds[-1] < 0.005


def test_an_episode_without_the_arm_is_refused_by_topic(tmp_path, begin, content):
    writer = begin(tmp_path / "a")
    writer.write(*content[0])
    writer.finish(INFO)
    with pytest.raises(ValueError, match=r"0 messages on /target_pose"):
        read_motion(tmp_path / "a", "base")
