"""Each fault: the arm stops within its limits, stays, says why, and resumes only when enabled."""

import dataclasses
import os
import signal
import time

import numpy as np
import pytest

from carp_ros.reports.control import Fault
from carp_ros.ros.messages import chunk_to_msgs
from carp_ros.types import Chunk

from ..patience import await_true
from .every_arm import FaultsOfEveryArm
from .stops import (
    RESUME_JUMP_M,
    assert_resumes_only_when_enabled,
    assert_says,
    assert_stops_and_stays,
    mark_of,
    start_policy,
)

pytestmark = pytest.mark.realtime


def test_protective_stop(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.faults.protective_stop()
    assert_stops_and_stays(workstation, mark, 0.1)
    assert_says(workstation, "SAFETY_STOP", "PROTECTIVE_STOP")
    assert_resumes_only_when_enabled(workstation)


def test_emergency_stop(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.faults.emergency_stop()
    assert_stops_and_stays(workstation, mark, 0.1)
    assert_says(workstation, "SAFETY_STOP", "EMERGENCY_STOP")
    answer = workstation.trigger("reset_fault")  # which says what came of it
    assert not answer.success
    assert "release the emergency stop" in answer.message
    assert_says(workstation, "reset failed")
    workstation.faults.release_emergency_stop()
    assert_resumes_only_when_enabled(workstation)


def test_program_killed(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.faults.kill_program()
    assert_stops_and_stays(workstation, mark, 0.1)
    assert_says(workstation, "program")
    assert_resumes_only_when_enabled(workstation)


def test_robot_silence(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.faults.silence(0.4)
    assert_stops_and_stays(workstation, mark, workstation.rig.arm.state_timeout_s)
    assert_says(workstation, "no new robot state")
    assert_resumes_only_when_enabled(workstation)


def test_rtde_drop(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.faults.drop_rtde()
    assert_stops_and_stays(workstation, mark, 0.15)
    assert_says(workstation, "servo process")
    workstation.await_servo()
    assert_resumes_only_when_enabled(workstation)


def test_servo_process_killed(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    os.kill(workstation.servo_pid(), signal.SIGKILL)
    assert_stops_and_stays(workstation, mark, 0.15)
    assert_says(workstation, "SIGKILL")
    workstation.await_servo()
    assert_resumes_only_when_enabled(workstation)


def test_a_second_publisher_of_twists(workstation):
    from geometry_msgs.msg import TwistStamped

    workstation.teleoperate()
    mark = mark_of(workstation)
    rival = workstation.hands.create_publisher(TwistStamped, "teleop/twist", 1)
    try:
        assert_stops_and_stays(workstation, mark, 2.0)
        assert_says(workstation, "2 publishers on teleop/twist")
        assert not workstation.enable().success
    finally:
        workstation.hands.destroy_publisher(rival)


def test_an_arm_that_is_held_and_let_go(workstation):
    workstation.teleoperate()
    workstation.faults.block_arm()
    await_true(lambda: workstation.hands.status.fault is Fault.TRACKING, 3.0, "a tracking fault")
    time.sleep(1.0)  # the commanded pose comes back to the arm
    mark = mark_of(workstation)
    workstation.faults.release_arm()
    time.sleep(0.5)
    assert workstation.trace.since(mark).largest_excursion() < 5e-3  # it does not leap
    assert_resumes_only_when_enabled(workstation)


def test_a_reset_right_after_a_tracking_fault(workstation):
    workstation.teleoperate()
    workstation.faults.block_arm()
    await_true(lambda: workstation.hands.status.fault is Fault.TRACKING, 3.0, "a tracking fault")
    mark = mark_of(workstation)
    workstation.hands.twist = dataclasses.replace(workstation.hands.twist, linear=np.zeros(3))
    workstation.reset_fault()
    workstation.faults.release_arm()
    time.sleep(0.5)
    after = workstation.trace.since(mark)
    assert after.speeds().max() < workstation.rig.limits.max_linear_speed_m_s * 1.1
    assert after.largest_excursion() < 5e-3


@pytest.mark.parametrize("fraction", [0.5, 0.2])
def test_a_robot_that_is_slowed_at_its_pendant_follows_slower(workstation, fraction):
    workstation.faults.speed_slider(fraction)
    hands = workstation.hands
    hands.plugged, hands.deadman = True, False
    assert workstation.trigger("select_policy").success
    time.sleep(0.1)
    answer = workstation.enable()
    assert answer.success, answer.message
    hands.make_chunk = straight(workstation, 0.2)
    mark = mark_of(workstation)
    time.sleep(1.5)
    slowed = workstation.trace.since(mark)
    assert hands.status.fault is Fault.NONE
    assert slowed.travelled() > 0.02, (hands.status, hands.arm_diagnostics)
    assert slowed.speeds().max() < 0.2 * fraction * 1.4
    assert_says(workstation, f"at {fraction:.0%} of its speed")
    hands.make_chunk = None


def straight(station, speed_m_s: float):
    """Return a policy that, wherever the tool is, moves it aside at a speed."""
    quaternion = station.kinematics.tcp_pose(station.home).quaternion

    def make_chunk(now_ns: int) -> Chunk:
        position = station.trace.samples[-1][1]
        seconds = np.arange(16) * 0.1
        offset = np.outer(seconds, [0.0, speed_m_s, 0.0])
        return Chunk(
            stamp_ns=now_ns,
            times_ns=now_ns + (seconds * 1e9).astype(np.int64),
            positions=position + offset,
            quaternions=np.tile(quaternion, (16, 1)),
            gripper=np.zeros(16),
        )

    return make_chunk


def test_a_controller_whose_machine_paused(workstation):
    workstation.teleoperate()
    mark = mark_of(workstation)
    workstation.controller.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    workstation.controller.send_signal(signal.SIGCONT)
    assert_stops_and_stays(workstation, mark, workstation.rig.arm.state_timeout_s)
    assert_resumes_only_when_enabled(workstation)


def test_a_chunk_of_200_000_steps(workstation):
    servo = workstation.servo_pid()
    start_policy(workstation)
    good = workstation.hands.make_chunk(workstation.hands.now_ns())
    poses, gripper = chunk_to_msgs(good, "base_link")
    poses.points, gripper.points = 12_500 * list(poses.points), 12_500 * list(gripper.points)
    workstation.hands.send_chunk_msgs(poses, gripper)
    time.sleep(1.0)
    assert workstation.servo_pid() == servo
    assert workstation.hands.status.fault is Fault.NONE


def test_a_chunk_whose_halves_come_the_other_way_round(workstation):
    start_policy(workstation)
    hands, good = workstation.hands, workstation.hands.make_chunk
    hands.make_chunk = None
    for _ in range(8):
        poses, gripper = chunk_to_msgs(good(hands.now_ns()), "base_link")
        hands._chunks.publish(poses)
        time.sleep(0.02)
        hands._gripper_chunks.publish(gripper)
        time.sleep(0.18)
    assert hands.status.enabled, hands.status
    assert workstation.trace.speed() > 0.03


def spoilt(chunk: Chunk, kind: str):
    """Return the messages of a chunk with one thing wrong."""
    poses, gripper = chunk_to_msgs(chunk, "camera_link" if kind == "frame" else "base_link")
    seconds = {"future": 5, "stale": -5}.get(kind, 0)
    for msg in (poses, gripper):
        msg.header.stamp.sec += seconds
    for point in poses.points:
        translation = point.transforms[0].translation
        translation.x += {"nan": np.nan, "outside": 1.5, "jump": 0.08}.get(kind, 0.0)
    return poses, gripper


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nan", "not finite"),
        ("future", "in the future"),
        ("stale", "old"),
        ("frame", "'camera_link'"),
        ("outside", "outside the workspace"),
        ("jump", "from the tool"),
    ],
)
def test_bad_chunks(workstation, kind, words):
    start_policy(workstation)
    good = workstation.hands.make_chunk
    workstation.hands.make_chunk = None
    limits = workstation.rig.limits
    highest = workstation.trace.since(-10).speeds().max()
    mark = mark_of(workstation)
    for _ in range(15):
        poses, gripper = spoilt(good(workstation.hands.now_ns()), kind)
        workstation.hands.send_chunk_msgs(poses, gripper)
        time.sleep(0.1)
    after = workstation.trace.since(mark)
    assert after.speeds().max() < max(1.3 * highest, 0.15)
    await_true(lambda: not workstation.hands.status.enabled, 2.0, "disabled")
    workstation.await_standstill(1.0)
    assert_says(workstation, "chunks refused in a row", words)
    rest = mark_of(workstation)
    workstation.hands.make_chunk = good
    time.sleep(0.5)
    assert workstation.trace.since(rest).largest_excursion() < RESUME_JUMP_M
    assert limits.chunk_timeout_s > 0


class TestWhatEveryArmDoes(FaultsOfEveryArm):
    @pytest.fixture
    def station(self, workstation):
        return workstation
