"""Hand guiding in the servo loop: when the arm is free, and that it never jumps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.servo import ServoMode
from carp_ros.reports.control import Fault
from carp_ros.servo.hand_guiding import Hand
from carp_ros.types import SafetyState

from .test_servo_loop import ASIDE, HOME, Bench

STILL = np.zeros(6)


class Guided(Bench):
    """A bench whose arm a hand may move, which obeys what it is asked."""

    def __init__(self, joints=HOME):
        self.free = False
        super().__init__(joints)

    def tick(self):
        target = super().tick()
        self.free = {Hand.FREE: True, Hand.HOLD: False}.get(self.last.hand, self.free)
        if self.free:
            assert target is None
        return target

    def push(self, speed_rad_s, ticks=50):
        """Let a hand move the arm, if it is free."""
        for _ in range(ticks):
            velocities = np.full(6, speed_rad_s) if self.free else STILL
            self.change_arm(joints=self.arm.joints + velocities * 0.002, velocities=velocities)
            self.tick()

    def release(self, ticks=30):
        """Let the button go, and time pass."""
        self.wish(mode=ServoMode.HOLD)
        self.push(0.0, ticks)


@pytest.fixture
def bench():
    return Guided()


@pytest.fixture
def guided(bench):
    bench.enable(ServoMode.GUIDE)
    bench.ticks(3)
    assert bench.free
    return bench


def assert_held_where_it_stands(bench):
    sent = bench.ticks(200)
    assert len(sent) == 200
    np.testing.assert_array_equal(sent, np.tile(bench.arm.joints, (200, 1)))


@given(st.floats(-1.0, 1.0), st.integers(1, 200))
def test_after_hand_guiding_the_servo_starts_where_the_arm_stands(speed_rad_s, ticks):
    bench = Guided()
    bench.enable(ServoMode.GUIDE)
    bench.ticks(3)
    bench.push(speed_rad_s, ticks)
    assert bench.state.mode is ServoMode.GUIDE
    np.testing.assert_array_equal(bench.state.target_pose.position, bench.last.tcp_pose.position)
    bench.release()
    assert_held_where_it_stands(bench)
    assert bench.state.mode is ServoMode.HOLD
    assert bench.state.fault is Fault.NONE


def test_pressed_again_the_button_frees_the_arm_again_without_an_enable(guided):
    guided.release()
    guided.wish(mode=ServoMode.GUIDE)
    guided.ticks(2)
    assert guided.free


def test_no_target_is_sent_before_the_arm_stands(guided):
    guided.push(0.5)
    guided.wish(mode=ServoMode.HOLD)
    for _ in range(100):  # it brakes, or the hand goes on
        guided.change_arm(velocities=np.full(6, 0.1))
        assert guided.tick() is None
    assert guided.state.moving
    guided.change_arm(velocities=STILL)
    guided.ticks(20)
    assert_held_where_it_stands(guided)


def test_an_arm_that_does_not_come_to_rest_is_a_fault(guided):
    guided.wish(mode=ServoMode.HOLD)
    guided.tick()
    guided.change_arm(velocities=np.full(6, 0.1))
    guided.ticks(1100)
    assert guided.state.fault is Fault.NOT_READY
    assert "goes on moving" in guided.state.fault_text


def test_a_moving_arm_comes_to_rest_before_it_is_free(bench):
    bench.enable(ServoMode.TWIST)
    for _ in range(60):
        bench.twist(ASIDE)
        bench.tick()
    bench.wish(mode=ServoMode.GUIDE)
    braking = bench.ticks(10)
    assert len(braking) == 10
    bench.ticks(400)
    assert bench.free
    assert np.abs(np.diff(braking, axis=0)).max() < 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"velocities": np.full(6, 0.05)},
        {"ready": False},
        {"safety": SafetyState.PROTECTIVE_STOP},
        {"safety": SafetyState.RECOVERY},
    ],
)
def test_an_arm_that_moves_or_is_stopped_is_not_freed(bench, changes):
    bench.change_arm(**changes)
    bench.enable(ServoMode.GUIDE)
    bench.ticks(50)
    assert not bench.free


def test_without_an_enable_nothing_is_freed(bench):
    bench.wish(mode=ServoMode.GUIDE)
    bench.ticks(50)
    assert not bench.free


def test_an_arm_that_is_pressed_against_something_is_not_freed(bench):
    bench.change_arm(wrench=np.array([0.0, 0.0, 31.0, 0.0, 0.0, 0.0]))
    bench.enable(ServoMode.GUIDE)
    bench.ticks(50)
    assert not bench.free
    assert bench.state.fault is Fault.CONTACT
    assert "31 N push the tool" in bench.state.fault_text


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"safety": SafetyState.PROTECTIVE_STOP}, Fault.SAFETY_STOP),
        ({"ready": False}, Fault.NOT_READY),
    ],
)
def test_a_stop_ends_it_and_the_arm_is_free_again_only_after_an_enable(guided, changes, fault):
    guided.push(0.3)
    guided.change_arm(**changes)
    guided.push(0.0, 20)
    assert not guided.free
    assert guided.state.fault is fault
    guided.change_arm(safety=SafetyState.NORMAL, ready=True, velocities=STILL)
    guided.reset()
    assert guided.state.fault is Fault.NONE
    guided.wish(mode=ServoMode.GUIDE)
    guided.ticks(50)
    assert not guided.free
    guided.enable(ServoMode.GUIDE)
    guided.ticks(5)
    assert guided.free


def test_silence_of_the_control_node_ends_it(guided):
    guided.push(0.3)
    heartbeat_ns = guided.command.heartbeat_ns
    for _ in range(100):
        guided.now_ns += 2_000_000
        guided.wish(heartbeat_ns=heartbeat_ns)
        guided.change_arm(robot_time_s=guided.now_ns * 1e-9, velocities=STILL)
        tick = guided.loop.tick(guided.now_ns, guided.arm, guided.command, None)
        guided.free = {Hand.FREE: True, Hand.HOLD: False}.get(tick.hand, guided.free)
    assert not guided.free
    assert guided.loop.guard.fault is Fault.CONTROL_SILENT


def test_silence_of_the_robot_ends_it(guided):
    for _ in range(100):
        guided.now_ns += 2_000_000
        guided.wish(heartbeat_ns=guided.now_ns)
        tick = guided.loop.tick(guided.now_ns, guided.arm, guided.command, None)
        guided.free = {Hand.FREE: True, Hand.HOLD: False}.get(tick.hand, guided.free)
    assert not guided.free
    assert guided.loop.guard.fault is Fault.ROBOT_SILENT


def test_the_gripper_obeys_the_operator_while_the_arm_is_guided(guided):
    guided.wish(gripper=0.7)
    guided.push(0.2)
    assert guided.state.gripper == 0.7
    guided.release()
    assert guided.state.gripper == 0.7


def test_it_is_not_a_tracking_fault_however_far_the_hand_goes(guided):
    guided.push(0.5, 500)
    guided.release()
    assert guided.state.fault is Fault.NONE
