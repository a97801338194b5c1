"""Tests for servo/servo_loop.py: an arm that follows, an operator, and all that may go wrong."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from carp_ros.control.command import Command, ServoState
from carp_ros.control.guard import Guard
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.servo import Servo, ServoMode
from carp_ros.reports.control import Fault
from carp_ros.rig import load_rig
from carp_ros.robots import FR3
from carp_ros.servo.servo_loop import ServoLoop
from carp_ros.types import ArmState, Chunk, Pose, SafetyState, Twist

RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
HOME = np.array(RIG.home_joints_rad)
KINEMATICS = Kinematics(
    RIG.robot, Pose(np.array(RIG.tool.position_m), np.array(RIG.tool.quaternion))
)
PERIOD_S = 0.002
TICK_NS = 2_000_000
START_NS = 9_000_000_000
ASIDE = Twist(np.array([0.0, 0.1, 0.0]), np.zeros(3))
STILL = Twist(np.zeros(3), np.zeros(3))


def make_loop(joints=HOME):
    servo = Servo(KINEMATICS, RIG.limits, PERIOD_S, RIG.servo.blend_s, joints, 0.0)
    return ServoLoop(KINEMATICS, servo, Guard(RIG.limits, 0.1, 0.1), HOME)


class Bench:
    """A loop, an arm that does what it is sent at once, and an operator's newest command."""

    def __init__(self, joints=HOME):
        self.loop = make_loop(joints)
        self.now_ns = START_NS
        self.arm = ArmState(0.0, joints, np.zeros(6), SafetyState.NORMAL, True, 1.0)
        self.command = Command(START_NS, ServoMode.HOLD, 0, 0, False, STILL, 0, 0.0)
        self.chunk = None
        self.blocked = False
        self.tick()

    def tick(self):
        """Let one period pass; return what the loop sends."""
        self.now_ns += TICK_NS
        self.change_arm(robot_time_s=self.now_ns * 1e-9)
        self.wish(heartbeat_ns=self.now_ns)
        chunk, self.chunk = self.chunk, None
        self.last = self.loop.tick(self.now_ns, self.arm, self.command, chunk)
        if self.last.target is not None and not self.blocked:
            self.change_arm(joints=self.last.target.joints)
        return self.last.target

    def ticks(self, count):
        """Let time pass; return the joints that were sent, of shape (N, J)."""
        sent = [self.tick() for _ in range(count)]
        return np.array([target.joints for target in sent if target is not None])

    def wish(self, **changes):
        self.command = dataclasses.replace(self.command, **changes)

    def enable(self, mode):
        self.wish(mode=mode, enables=self.command.enables + 1)

    def twist(self, twist):
        self.wish(twist=twist, twist_ns=self.now_ns)

    def change_arm(self, **changes):
        self.arm = dataclasses.replace(self.arm, **changes)

    def reset(self, problem=""):
        """Ask for a reset, and let the loop try it when it is due."""
        self.wish(mode=ServoMode.HOLD, resets=self.command.resets + 1)
        for _ in range(1000):
            if self.loop.reset_due(self.command):
                self.loop.try_reset(self.command, self.arm, problem)
                return
            self.tick()
        raise AssertionError("the reset never became due")

    @property
    def state(self):
        return self.loop.state(self.now_ns, self.arm, self.last, priority=0)


def chunk_aside(now_ns, offset_m=0.02):
    start = KINEMATICS.tcp_pose(HOME)
    return Chunk(
        stamp_ns=now_ns,
        times_ns=now_ns + np.array([100, 200, 300, 400]) * 1_000_000,
        positions=start.position + np.outer(np.linspace(0.0, 1.0, 4), [0.0, offset_m, 0.0]),
        quaternions=np.tile(start.quaternion, (4, 1)),
        gripper=np.ones(4),
    )


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def moving(bench):
    """Return a bench whose tool moves aside by an operator's twist."""
    bench.enable(ServoMode.TWIST)
    bench.twist(ASIDE)
    bench.ticks(60)
    bench.twist(ASIDE)
    bench.tick()
    assert bench.loop.moving
    return bench


def rests(joints):
    return not np.diff(joints, axis=0).any()


def is_smooth(joints):
    """Whether no joint changes its speed by more than the limits allow in one tick."""
    changes = np.diff(joints, n=2, axis=0) / PERIOD_S**2
    return np.abs(changes).max() <= RIG.limits.max_joint_acceleration_rad_s2 * 1.001


@pytest.mark.parametrize("mode", ServoMode)
def test_nothing_moves_without_an_enable_since_the_start(bench, mode):
    bench.wish(mode=mode)
    bench.twist(ASIDE)
    bench.chunk = chunk_aside(bench.now_ns)

    assert (bench.ticks(20) == HOME).all()
    assert bench.state.mode is ServoMode.HOLD


def test_an_enable_from_before_the_process_does_not_count():
    bench = Bench()
    bench.enable(ServoMode.TWIST)
    bench.loop = make_loop()
    bench.twist(ASIDE)

    assert (bench.ticks(10) == HOME).all()
    bench.enable(ServoMode.TWIST)
    assert not rests(bench.ticks(10))


def test_every_motion_moves_once_it_is_enabled(bench):
    bench.enable(ServoMode.TWIST)
    bench.twist(ASIDE)
    assert not rests(bench.ticks(20))
    bench.wish(mode=ServoMode.HOLD)
    bench.ticks(100)

    bench.enable(ServoMode.JOINTS)
    bench.ticks(500)
    np.testing.assert_allclose(bench.arm.joints, HOME, atol=2e-4)

    bench.enable(ServoMode.CHUNK)
    bench.chunk = chunk_aside(bench.now_ns)
    seen_ns = bench.now_ns
    assert not rests(bench.ticks(100))
    assert bench.state.chunks_accepted == 1
    assert bench.state.chunk_stamp_ns == seen_ns
    assert 0 <= bench.state.chunk_begun_ns - seen_ns <= 2_000_000  # the next tick
    bench.ticks(150)
    assert bench.state.gripper == 1.0


def test_a_chunk_that_comes_while_nothing_is_enabled_is_never_executed(bench):
    bench.wish(mode=ServoMode.CHUNK)
    bench.chunk = chunk_aside(bench.now_ns)
    bench.tick()
    bench.enable(ServoMode.CHUNK)

    assert (bench.ticks(200) == HOME).all()
    assert bench.state.chunks_accepted == 0


def test_a_chunk_that_comes_while_a_hand_moves_the_arm_is_never_executed(moving):
    moving.wish(mode=ServoMode.TWIST)
    moving.chunk = chunk_aside(moving.now_ns)
    moving.tick()
    moving.enable(ServoMode.CHUNK)
    moving.ticks(150)

    assert rests(moving.ticks(20))
    assert moving.state.chunks_accepted == 0


def test_a_refused_chunk_is_counted_with_its_reason(bench):
    bench.enable(ServoMode.CHUNK)
    bench.tick()
    bench.chunk = chunk_aside(bench.now_ns - 700_000_000)

    assert (bench.ticks(5) == HOME).all()
    assert (bench.state.chunks_refused, bench.state.chunks_accepted) == (1, 0)
    assert (bench.state.chunk_stamp_ns, bench.state.chunk_begun_ns) == (0, 0)
    assert "0.702 s old" in bench.state.refusal


def test_a_twist_that_is_too_old_when_it_is_enabled_moves_nothing(bench):
    bench.twist(ASIDE)
    bench.ticks(60)
    bench.enable(ServoMode.TWIST)

    assert (bench.ticks(20) == HOME).all()


def test_a_twist_is_obeyed_once(moving):
    moving.wish(mode=ServoMode.HOLD)
    moving.ticks(2)
    moving.wish(mode=ServoMode.TWIST)  # the dead-man again, the twist still the old one
    moving.tick()

    assert moving.state.mode is ServoMode.HOLD


@pytest.mark.parametrize("mode", [ServoMode.HOLD, ServoMode.CHUNK])
def test_a_change_of_mode_brakes_what_moved_before(moving, mode):
    moving.wish(mode=mode)
    stop = moving.ticks(150)

    assert moving.state.mode is ServoMode.HOLD
    assert rests(stop[-20:])
    assert is_smooth(stop)


def test_going_home_is_not_resumed_without_a_new_enable():
    bench = Bench(HOME + 0.1)
    bench.enable(ServoMode.JOINTS)
    bench.ticks(30)
    bench.wish(mode=ServoMode.HOLD)
    bench.ticks(100)
    bench.wish(mode=ServoMode.JOINTS)

    assert rests(bench.ticks(20))
    bench.enable(ServoMode.JOINTS)
    assert not rests(bench.ticks(20))


def stop_safety(bench):
    bench.change_arm(safety=SafetyState.PROTECTIVE_STOP)


def stop_program(bench):
    bench.change_arm(ready=False)


def block_the_arm(bench):
    bench.blocked = True
    bench.change_arm(joints=bench.arm.joints + 0.15 * np.eye(6)[0])


FAULTS = {
    stop_safety: Fault.SAFETY_STOP,
    stop_program: Fault.NOT_READY,
    block_the_arm: Fault.TRACKING,
}


@pytest.mark.parametrize("break_it", FAULTS, ids=lambda f: f.__name__)
def test_a_fault_stops_motion_and_is_reported(moving, break_it):
    break_it(moving)
    moving.tick()
    assert moving.state.fault is FAULTS[break_it]
    assert moving.state.fault_text
    assert moving.state.mode is ServoMode.HOLD

    for _ in range(500):  # braked, and led to an arm that could not follow
        moving.twist(ASIDE)
        moving.tick()

    before = moving.state.target_joints
    moving.twist(ASIDE)
    moving.tick()
    np.testing.assert_array_equal(moving.state.target_joints, before)
    assert not moving.state.moving


@pytest.mark.parametrize("break_it", [stop_safety, stop_program])
def test_nothing_is_sent_while_the_arm_would_not_execute_it(moving, break_it):
    break_it(moving)

    assert moving.tick() is None
    # the arm is moved by hand; the reference stays with it
    moving.change_arm(joints=moving.arm.joints + 0.02)
    assert moving.tick() is None
    np.testing.assert_array_equal(moving.state.target_joints, moving.arm.joints)


@pytest.mark.parametrize("break_it", FAULTS, ids=lambda f: f.__name__)
def test_after_a_reset_the_arm_stands_where_it_is_until_a_newer_enable(moving, break_it):
    break_it(moving)
    moving.ticks(100)
    moving.enable(ServoMode.TWIST)  # in vain, while the fault stands
    moving.tick()
    moving.change_arm(
        ready=True,
        safety=SafetyState.NORMAL,
        joints=moving.arm.joints + 0.03,
    )
    measured = moving.arm.joints

    moving.reset()
    moving.blocked = False  # not earlier: freed, the arm would go on to where it was sent
    moving.wish(mode=ServoMode.TWIST)
    moving.twist(ASIDE)

    target = moving.tick()
    assert np.abs(target.joints - measured).max() < 1e-9
    assert moving.state.fault is Fault.NONE
    assert moving.state.resets_done == moving.command.resets
    assert rests(moving.ticks(20))
    moving.enable(ServoMode.TWIST)
    moving.twist(ASIDE)
    sent = moving.ticks(20)
    assert not rests(sent)
    assert is_smooth(np.concatenate([[measured, measured], sent]))


def is_within_limits(joints):
    """Whether tool and joints keep to their speeds and accelerations."""
    positions = np.array([KINEMATICS.tcp_pose(row).position for row in joints])
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / PERIOD_S
    return speeds.max() <= RIG.limits.max_linear_speed_m_s * 1.01 and is_smooth(joints)


def test_an_arm_that_is_held_back_is_not_pressed_on_and_does_not_leap_once_it_is_free(moving):
    held = moving.arm.joints
    moving.blocked = True
    sent = []
    while moving.state.fault is Fault.NONE:
        moving.twist(ASIDE)
        sent.append(moving.tick().joints)
    sent += list(moving.ticks(600))

    assert moving.state.fault is Fault.TRACKING
    assert is_within_limits(np.array(sent))
    np.testing.assert_allclose(sent[-1], held, atol=1e-9)
    moving.blocked = False
    assert (moving.ticks(50) == sent[-1]).all()


def test_a_reset_moves_nothing_however_early_it_comes(moving):
    """The arm lags far behind, by a first-order lag as a soft servoJ has, and still arrives."""
    moving.blocked = True
    sent, joints = [], moving.arm.joints

    def lag():
        nonlocal joints
        target = moving.tick()
        step = (target.joints - joints) * min(1.0, PERIOD_S / 0.8)
        joints = joints + step
        moving.change_arm(joints=joints, velocities=step / PERIOD_S)
        sent.append(target.joints)

    while moving.state.fault is Fault.NONE:
        moving.twist(ASIDE)
        lag()
    moving.wish(mode=ServoMode.HOLD, resets=moving.command.resets + 1)
    while not moving.loop.reset_due(moving.command):
        lag()
        assert len(sent) < 5000
    moving.loop.try_reset(moving.command, moving.arm, "")
    cleared = len(sent)
    for _ in range(300):
        lag()

    assert moving.state.fault is Fault.NONE
    assert is_within_limits(np.array(sent))
    assert rests(np.array(sent[cleared - 1 :]))


def test_a_reset_is_refused_while_the_arm_moves_or_is_held_elsewhere(moving):
    moving.blocked = True
    moving.change_arm(velocities=np.full(6, 0.3), joints=moving.arm.joints + 0.15 * np.eye(6)[0])
    moving.ticks(100)
    assert moving.state.fault is Fault.TRACKING

    def reset():
        moving.wish(mode=ServoMode.HOLD, resets=moving.command.resets + 1)
        while not moving.loop.reset_due(moving.command):
            moving.tick()
        moving.loop.try_reset(moving.command, moving.arm, "")
        moving.tick()

    reset()
    assert moving.state.fault_text.endswith("still moves at 0.30 rad/s; wait until it stands")
    moving.change_arm(velocities=np.zeros(6))
    reset()
    assert moving.state.fault is Fault.NONE


def test_a_slowed_robot_follows_the_same_path_slower_and_the_next_plan_alike(bench):
    full = Bench()
    for each, scaling in ((full, 1.0), (bench, 0.4)):
        each.change_arm(speed_scaling=scaling)
        each.tick()
        each.enable(ServoMode.CHUNK)
        each.chunk = chunk_aside(each.now_ns)
    ahead = full.ticks(400)
    slowed = bench.ticks(800)

    np.testing.assert_allclose(slowed[-1], ahead[-1], atol=1e-6)
    for row in slowed[:800:50]:  # on the same path
        assert np.linalg.norm(ahead - row, axis=1).min() < 4e-4
    speeds = [np.abs(np.diff(path, axis=0)).max() / PERIOD_S for path in (ahead, slowed)]
    assert speeds[1] == pytest.approx(0.4 * speeds[0], rel=0.15)
    assert is_within_limits(slowed)


@pytest.mark.parametrize("scaling", [0.0, -1.0, float("nan")])
def test_a_paused_robot_is_sent_no_motion_and_does_not_go_on_with_an_old_plan(bench, scaling):
    bench.change_arm(speed_scaling=scaling)
    bench.tick()
    bench.enable(ServoMode.CHUNK)
    bench.chunk = chunk_aside(bench.now_ns)
    assert rests(bench.ticks(1600))
    assert bench.state.mode is ServoMode.HOLD

    bench.change_arm(speed_scaling=1.0)
    assert rests(bench.ticks(300))


@pytest.mark.parametrize("mode", [ServoMode.TWIST, ServoMode.JOINTS])
def test_hands_and_the_way_home_are_slowed_too(mode):
    fastest = []
    for scaling in (1.0, 0.5):
        bench = Bench(HOME + 0.3)
        bench.change_arm(speed_scaling=scaling)
        bench.enable(mode)
        sent = []
        for _ in range(250):
            bench.twist(ASIDE)
            sent.append(bench.tick().joints)
        fastest.append(np.abs(np.diff(sent, axis=0)).max())
    assert fastest[1] == pytest.approx(0.5 * fastest[0], rel=0.1)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("the e-stop is pressed", "reset failed: the e-stop is pressed"),
        ("", "reset failed: the robot is in PROTECTIVE_STOP and follows no joint targets"),
    ],
)
def test_a_reset_is_refused_while_its_cause_stands(moving, problem, words):
    stop_safety(moving)
    moving.tick()

    moving.reset(problem)

    moving.tick()
    assert moving.state.fault is Fault.SAFETY_STOP
    assert moving.state.fault_text.endswith(words)
    assert moving.state.resets_done == moving.command.resets
    moving.enable(ServoMode.TWIST)
    assert moving.tick() is None


def test_a_reset_is_refused_when_recovery_failed_though_the_arm_seems_sound(moving):
    stop_safety(moving)
    moving.tick()
    moving.change_arm(safety=SafetyState.NORMAL)

    moving.reset("the controller did not answer")

    moving.tick()
    assert moving.state.fault is Fault.SAFETY_STOP
    assert moving.state.fault_text.endswith("reset failed: the controller did not answer")


def test_a_reset_without_a_fault_brakes_first_instead_of_stopping_at_once(moving):
    sent = [moving.arm.joints]
    moving.wish(resets=moving.command.resets + 1)  # and the operator's hand goes on
    assert not moving.loop.reset_due(moving.command)
    while not moving.loop.reset_due(moving.command):
        moving.twist(ASIDE)
        sent.append(moving.tick().joints)
        assert len(sent) < 200

    moving.loop.try_reset(moving.command, moving.arm, "")
    sent += list(moving.ticks(10))

    assert is_smooth(np.array(sent))
    assert rests(np.array(sent[-10:]))


def test_silence_of_the_control_node_stops_the_arm_smoothly(moving):
    silent = moving.command
    sent = []
    for _ in range(200):
        moving.now_ns += TICK_NS
        moving.change_arm(robot_time_s=moving.now_ns * 1e-9)
        tick = moving.loop.tick(moving.now_ns, moving.arm, silent, None)
        moving.change_arm(joints=tick.target.joints)
        sent.append(tick.target.joints)

    moving.last = tick
    assert moving.state.fault is Fault.CONTROL_SILENT
    assert rests(np.array(sent[-20:]))
    assert is_smooth(np.array(sent))


def test_the_state_tells_what_was_measured_and_what_was_commanded(moving):
    moving.blocked = True
    target = moving.tick()
    state = moving.state

    np.testing.assert_array_equal(state.joints, moving.arm.joints)
    np.testing.assert_array_equal(state.target_joints, target.joints)
    np.testing.assert_array_equal(state.target_pose.position, target.pose.position)
    measured = KINEMATICS.tcp_pose(moving.arm.joints)
    np.testing.assert_array_equal(state.tcp_pose.position, measured.position)
    assert (state.mode, state.moving, state.ready, state.busy) == (
        ServoMode.TWIST,
        True,
        True,
        False,
    )
    assert state.robot_time_s == pytest.approx(moving.now_ns * 1e-9)
    assert state.ticks == 63


def test_an_arm_of_seven_joints_is_led_and_reported_at_its_own_rate():
    kinematics = Kinematics(FR3, Pose(np.array([0.0, 0.0, 0.1]), np.array([0.0, 0.0, 0.0, 1.0])))
    joints = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
    limits = dataclasses.replace(RIG.limits, workspace_min_m=(0.1, -0.6, 0.0))
    servo = Servo(kinematics, limits, 0.001, RIG.servo.blend_s, joints, 0.0)
    loop = ServoLoop(kinematics, servo, Guard(limits, 0.1, 0.1), joints)
    arm = ArmState(0.0, joints, np.zeros(7), SafetyState.NORMAL, True, 1.0)
    command = Command(START_NS, ServoMode.HOLD, 0, 0, False, STILL, 0, 0.0)
    start = kinematics.tcp_pose(joints).position
    for i in range(401):
        now_ns = START_NS + i * 1_000_000
        arm = dataclasses.replace(arm, robot_time_s=now_ns * 1e-9)
        command = dataclasses.replace(command, heartbeat_ns=now_ns)
        if i > 0:
            command = dataclasses.replace(
                command, mode=ServoMode.TWIST, enables=1, twist=ASIDE, twist_ns=now_ns
            )
        tick = loop.tick(now_ns, arm, command, None)
        arm = dataclasses.replace(arm, joints=tick.target.joints)

    state = ServoState.from_record(loop.state(now_ns, arm, tick, 0).to_record())
    moved = kinematics.tcp_pose(arm.joints).position - start
    assert state.fault is Fault.NONE
    assert state.joints.shape == state.velocities.shape == state.target_joints.shape == (7,)
    np.testing.assert_allclose(moved, [0.0, 0.1 * 0.35, 0.0], atol=0.004)
