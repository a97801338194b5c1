"""Tests for control/servo.py: what is executed, and that no input makes it exceed a limit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.kinematics import Kinematics
from carp_ros.control.schedule import PosePath
from carp_ros.control.servo import Servo, ServoMode
from carp_ros.errors import ChunkError
from carp_ros.geometry import (
    pose_difference,
    quaternion_from_rotvec,
    quaternion_multiply,
    rotation_between,
)
from carp_ros.rig import load_rig
from carp_ros.rig_sections import Lead
from carp_ros.types import Chunk, Pose, Twist

RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
LIMITS = RIG.limits
PERIOD_NS = 2_000_000
START_NS = 5_000_000_000
HOME = np.array(RIG.home_joints_rad)
TOOL = Pose(np.array(RIG.tool.position_m), np.array(RIG.tool.quaternion))
KINEMATICS = Kinematics(RIG.robot, TOOL)
HOME_POSE = KINEMATICS.tcp_pose(HOME)
# Finite differences of a limited motion see the limit through the curvature of one tick.
SLACK = 1.02


def make_servo(joints=HOME):
    return Servo(KINEMATICS, LIMITS, PERIOD_NS * 1e-9, RIG.servo.blend_s, joints, 0.0)


@dataclass
class Run:
    """What a servo did: one row a tick."""

    times_ns: np.ndarray
    joints: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray

    def joint_speeds(self):
        return np.diff(self.joints, axis=0) / 0.002

    def linear(self):
        return np.diff(self.positions, axis=0) / 0.002

    def angular(self):
        pairs = zip(self.quaternions[:-1], self.quaternions[1:])
        return np.array([rotation_between(a, b) for a, b in pairs]) / 0.002


def run(servo, duration_s, start_ns=START_NS, inputs=()):
    """Step the servo through `inputs`, a list of (time_ns, action), and return what it did."""
    inputs = sorted(inputs, key=lambda item: item[0])
    times = start_ns + PERIOD_NS * np.arange(round(duration_s / 0.002))
    rows = []
    for now_ns in times.tolist():
        while inputs and inputs[0][0] <= now_ns:
            inputs.pop(0)[1](now_ns)
        target = servo.step(now_ns)
        rows.append((target.joints, target.pose.position, target.pose.quaternion))
    joints, positions, quaternions = (np.array(column) for column in zip(*rows))
    return Run(times, joints, positions, quaternions)


def assert_within_limits(done):
    acceleration = np.diff(done.joint_speeds(), axis=0) / 0.002
    assert np.abs(done.joint_speeds()).max() <= LIMITS.max_joint_speed_rad_s * SLACK
    assert np.abs(acceleration).max() <= LIMITS.max_joint_acceleration_rad_s2 * SLACK
    for velocity, speed, limit in (
        (done.linear(), LIMITS.max_linear_speed_m_s, LIMITS.max_linear_acceleration_m_s2),
        (done.angular(), LIMITS.max_angular_speed_rad_s, LIMITS.max_angular_acceleration_rad_s2),
    ):
        assert np.linalg.norm(velocity, axis=1).max() <= speed * SLACK
        change = np.linalg.norm(np.diff(velocity, axis=0), axis=1) / 0.002
        assert change.max() <= limit * SLACK
    assert (done.positions >= np.array(LIMITS.workspace_min_m) - 1e-4).all()
    assert (done.positions <= np.array(LIMITS.workspace_max_m) + 1e-4).all()


def make_chunk(poses, start_ns=START_NS, step_s=0.1, gripper=None, stamp_ns=None):
    n = len(poses)
    return Chunk(
        stamp_ns=start_ns if stamp_ns is None else stamp_ns,
        times_ns=start_ns + (np.arange(n) * step_s * 1e9).astype(np.int64),
        positions=np.array([pose.position for pose in poses]),
        quaternions=np.array([pose.quaternion for pose in poses]),
        gripper=np.zeros(n) if gripper is None else gripper,
    )


def moved(pose, offset, rotvec=(0.0, 0.0, 0.0)):
    turn = quaternion_from_rotvec(np.array(rotvec, dtype=float))
    return Pose(pose.position + offset, quaternion_multiply(turn, pose.quaternion))


def smooth_poses(count, speed=0.1):
    """A tilted circle with a slow turn: what a demonstration looks like, within the limits."""
    s = np.arange(count) * 0.1 * speed / 0.08
    u = np.clip(s / s[-1] * 1.5, 0.0, 1.0)
    ease = u * u * (3.0 - 2.0 * u)
    return [
        moved(
            HOME_POSE,
            e * 0.08 * np.array([np.cos(a) - 1.0, np.sin(a), -0.5 * np.sin(a)]),
            e * np.array([0.1 * np.sin(a), 0.05, 0.2 * np.sin(a)]),
        )
        for a, e in zip(s, ease)
    ]


def test_executes_the_scheduled_pose_at_its_time():
    poses = smooth_poses(30)
    chunk = make_chunk(poses)
    servo = make_servo()
    done = run(servo, 3.0, inputs=[(START_NS, lambda now: servo.follow_chunk(chunk, now))])

    for step in range(3, 29):  # at the last step the path ends at rest, which takes braking
        tick = round(step * 0.1 / 0.002)
        here = Pose(done.positions[tick], done.quaternions[tick])
        missing = pose_difference(here, poses[step])
        assert np.linalg.norm(missing[:3]) < 1e-3, f"step {step}"
        assert np.linalg.norm(missing[3:]) < 5e-3, f"step {step}"
    assert_within_limits(done)


def test_a_late_chunk_skips_what_is_past():
    poses = [moved(pose, [0.0, 0.01, 0.0]) for pose in smooth_poses(30)]
    late_ns = START_NS + 200_000_000
    servo, first, late = make_servo(), make_chunk(smooth_poses(30)), make_chunk(poses)
    done = run(
        servo,
        2.2,
        inputs=[
            (START_NS, lambda now: servo.follow_chunk(first, now)),
            (late_ns, lambda now: servo.follow_chunk(late, now)),
        ],
    )

    assert servo.late_ns == 0
    tick = round(1.5 / 0.002)
    assert np.linalg.norm(done.positions[tick] - poses[15].position) < 1e-3
    assert_within_limits(done)


def test_a_disagreeing_chunk_is_blended_without_a_jump():
    first = make_chunk(smooth_poses(20))
    switch_ns = START_NS + 800_000_000
    poses = [moved(pose, [0.0, 0.015, 0.01], [0.0, 0.0, 0.05]) for pose in smooth_poses(20)]
    second = make_chunk(poses, stamp_ns=switch_ns - 100_000_000)
    servo = make_servo()
    done = run(
        servo,
        1.9,
        inputs=[
            (START_NS, lambda now: servo.follow_chunk(first, now)),
            (switch_ns, lambda now: servo.follow_chunk(second, now)),
        ],
    )

    assert_within_limits(done)
    tick = round(1.5 / 0.002)
    assert np.linalg.norm(done.positions[tick] - poses[15].position) < 1e-3


def test_ends_at_rest_on_the_last_pose_and_holds():
    poses = smooth_poses(10)
    chunk = make_chunk(poses)
    servo = make_servo()
    done = run(servo, 2.5, inputs=[(START_NS, lambda now: servo.follow_chunk(chunk, now))])

    assert np.linalg.norm(done.positions[-1] - poses[-1].position) < 1e-4
    assert not np.diff(done.joints[-10:], axis=0).any()
    assert servo.mode is ServoMode.HOLD
    assert_within_limits(done)


def test_the_gripper_follows_its_schedule():
    closing = np.concatenate([np.zeros(5), np.ones(5)])
    chunk = make_chunk([HOME_POSE] * 10, gripper=closing)
    servo = make_servo()
    servo.follow_chunk(chunk, START_NS)
    assert servo.step(START_NS + 390_000_000).gripper == 0.0
    assert servo.step(START_NS + 450_000_000).gripper == pytest.approx(0.5)
    assert servo.step(START_NS + 510_000_000).gripper == 1.0


def test_a_twist_stops_within_the_limits_once_it_is_stale():
    servo = make_servo()
    twist = Twist(np.array([0.0, 0.2, 0.0]), np.array([0.0, 0.0, 0.3]))
    send = [
        (START_NS + i * 10_000_000, lambda now: servo.follow_twist(twist, 1.0, now))
        for i in range(50)
    ]
    done = run(servo, 1.5, inputs=send)

    assert_within_limits(done)
    speed = np.linalg.norm(done.linear(), axis=1)
    assert speed[240] == pytest.approx(0.2, rel=1e-3)
    stopped_after_s = 0.2 / LIMITS.max_linear_acceleration_m_s2 + LIMITS.twist_timeout_s
    assert not speed[round((0.49 + stopped_after_s) / 0.002) + 2 :].any()
    assert servo.step(START_NS + 1_600_000_000).gripper == 1.0


def test_a_straight_twist_keeps_the_tool_on_its_line_and_its_orientation():
    servo = make_servo()
    twist = Twist(np.array([0.15, 0.1, -0.05]), np.zeros(3))
    send = [
        (START_NS + i * 10_000_000, lambda now: servo.follow_twist(twist, 0.0, now))
        for i in range(100)
    ]
    done = run(servo, 1.0, inputs=send)
    path = done.positions - HOME_POSE.position
    along = twist.linear / np.linalg.norm(twist.linear)
    off_m = np.linalg.norm(path - np.outer(path @ along, along), axis=1)
    assert off_m.max() < 1e-5
    turn = np.linalg.norm(rotation_between(HOME_POSE.quaternion, done.quaternions[-1]))
    assert turn < 1e-4


def test_a_twist_stops_at_the_workspace_walls():
    servo = make_servo()
    down = Twist(np.array([0.1, -0.2, -0.25]), np.zeros(3))
    send = [
        (START_NS + i * 10_000_000, lambda now: servo.follow_twist(down, 0.0, now))
        for i in range(400)
    ]
    done = run(servo, 4.0, inputs=send)
    assert_within_limits(done)
    assert done.positions[-1, 2] == pytest.approx(LIMITS.workspace_min_m[2], abs=2e-3)


def test_going_home_arrives_exactly_within_the_limits():
    away = HOME + np.array([0.3, -0.2, 0.25, 0.1, 0.2, -0.5])
    servo = make_servo(away)
    servo.move_to(HOME)
    done = run(servo, 5.0)
    assert np.abs(done.joints[-1] - HOME).max() < 2e-4
    assert servo.mode is ServoMode.HOLD
    assert_within_limits(done)


def test_stop_brakes_along_the_path_and_holds():
    servo = make_servo()
    chunk = make_chunk(smooth_poses(20, speed=0.2))
    inputs = [
        (START_NS, lambda now: servo.follow_chunk(chunk, now)),
        (START_NS + 1_000_000_000, lambda _: servo.stop()),
    ]
    done = run(servo, 2.0, inputs=inputs)
    assert_within_limits(done)
    before = done.linear()[495]
    after = done.linear()[505]
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert cosine > 0.99
    assert not np.diff(done.joints[-350:], axis=0).any()


def test_the_arm_slows_before_a_singularity_and_can_leave_it():
    elbow_nearly_straight = np.array([0.0, -1.2, 0.35, -0.7, -1.5708, 0.0])
    limits = LIMITS.__class__(workspace_min_m=(-2.0, -2.0, -2.0), workspace_max_m=(2.0, 2.0, 2.0))
    servo = Servo(KINEMATICS, limits, 0.002, 0.1, elbow_nearly_straight, 0.0)
    out = KINEMATICS.tcp_pose(elbow_nearly_straight).position * [1.0, 1.0, 0.0]
    out = 0.2 * out / np.linalg.norm(out)
    pull = Twist(out, np.zeros(3))
    push = Twist(-out, np.zeros(3))
    outward = [
        (START_NS + i * 10_000_000, lambda now: servo.follow_twist(pull, 0.0, now))
        for i in range(300)
    ]
    done = run(servo, 3.0, inputs=outward)
    _, jacobian = KINEMATICS.tcp_pose_and_jacobian(done.joints[-1])
    assert np.linalg.cond(jacobian) < limits.condition_stop * 1.2
    assert np.abs(done.joint_speeds()).max() <= limits.max_joint_speed_rad_s * SLACK
    start_ns = START_NS + 3_000_000_000
    inward = [
        (start_ns + i * 10_000_000, lambda now: servo.follow_twist(push, 0.0, now))
        for i in range(100)
    ]
    back = run(servo, 1.0, start_ns=start_ns, inputs=inward)
    assert np.linalg.norm(back.positions[-1] - back.positions[0]) > 0.1


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (make_chunk([HOME_POSE] * 5, stamp_ns=START_NS + 100_000_000), "in the future"),
        (make_chunk([HOME_POSE] * 20, stamp_ns=START_NS - 600_000_000), "0.600 s old"),
        (make_chunk([HOME_POSE] * 3, START_NS - 400_000_000), "ended 0.200 s ago"),
        (make_chunk([HOME_POSE, moved(HOME_POSE, [0.0, 1.0, 0.0])]), "outside the workspace"),
        (make_chunk([moved(HOME_POSE, [0.0, 0.06, 0.0])] * 3), "begins 0.060 m"),
        (make_chunk([moved(HOME_POSE, [0.0, 0.0, 0.0], [0.0, 0.0, 0.4])] * 3), "0.40 rad"),
    ],
    ids=["future", "stale", "past", "outside", "jump", "turn"],
)
def test_a_chunk_that_must_not_be_followed_is_refused_and_nothing_moves(chunk, message):
    servo = make_servo()
    with pytest.raises(ChunkError, match=message):
        servo.follow_chunk(chunk, START_NS)
    done = run(servo, 0.2)
    assert (done.joints == HOME).all()


@pytest.mark.parametrize("late_ms", [0, 100, 290])
def test_a_plan_for_an_arm_that_stood_since_then_begins_at_its_beginning(late_ms):
    chunk, late_ns = make_chunk(smooth_poses(14)), late_ms * 1_000_000
    servo, at_ns = make_servo(), START_NS + late_ns
    follow = (at_ns, lambda now: servo.follow_chunk(chunk, now))
    done = run(servo, 1.2, start_ns=at_ns, inputs=[follow])
    assert servo.late_ns == late_ns
    path = PosePath(chunk)
    for tick in range(150, 600, 50):  # once it has caught up with a plan that begins in motion
        due, _ = path.sample(int(done.times_ns[tick]) - late_ns)
        assert np.linalg.norm(due.position - done.positions[tick]) < 1e-3, f"tick {tick}"
    assert_within_limits(done)


def test_a_plan_for_an_arm_that_moved_since_then_skips_what_is_past():
    chunk, at_ns = make_chunk(smooth_poses(14)), START_NS + 100_000_000
    servo = make_servo()
    nudge = Twist(np.array([0.0, 0.02, 0.0]), np.zeros(3))
    run(
        servo,
        0.05,
        start_ns=START_NS,
        inputs=[(START_NS, lambda now: servo.follow_twist(nudge, 0.0, now))],
    )
    servo.stop()
    run(servo, 0.05, start_ns=START_NS + 50_000_000)
    servo.follow_chunk(chunk, at_ns)
    assert servo.late_ns == 0


def test_a_plan_that_begins_far_from_an_arm_that_stood_is_refused():
    poses = [moved(HOME_POSE, [0.0, 0.06 - 0.005 * i, 0.0]) for i in range(12)]
    with pytest.raises(ChunkError, match=r"begins 0\.060 m"):
        make_servo().follow_chunk(make_chunk(poses), START_NS + 300_000_000)


OFFSETS = st.tuples(*[st.floats(-0.12, 0.12)] * 3)
TURNS = st.tuples(*[st.floats(-0.4, 0.4)] * 3)
WILD_CHUNKS = st.lists(
    st.tuples(
        st.integers(0, 1500),  # when it arrives, in [ms]
        st.floats(0.02, 0.2),  # its step, in [s]
        st.lists(st.tuples(OFFSETS, TURNS), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(WILD_CHUNKS)
def test_no_sequence_of_chunks_exceeds_a_limit(chunks):
    servo = make_servo()

    def follow(step_s, steps, now_ns):
        poses = [moved(HOME_POSE, np.array(offset), turn) for offset, turn in steps]
        chunk = make_chunk(poses, start_ns=now_ns, step_s=step_s)
        try:
            servo.follow_chunk(chunk, now_ns)
        except ChunkError:
            servo.stop()

    inputs = [
        (START_NS + at_ms * 1_000_000, lambda now, s=step_s, p=steps: follow(s, p, now))
        for at_ms, step_s, steps in chunks
    ]
    assert_within_limits(run(servo, 2.2, inputs=inputs))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1.0, 1.0)] * 6), min_size=1, max_size=12))
def test_no_sequence_of_twists_exceeds_a_limit(twists):
    servo = make_servo()
    inputs = [
        (
            START_NS + i * 100_000_000,
            lambda now, v=v: servo.follow_twist(Twist(v[:3], v[3:]), 0.0, now),
        )
        for i, v in enumerate(np.array(twists))
    ]
    assert_within_limits(run(servo, 0.1 * len(twists) + 0.5, inputs=inputs))


@pytest.mark.parametrize("late_s", [0.03, 0.08])
def test_an_arm_that_is_late_is_where_the_plan_says_when_commands_lead_by_its_latency(late_s):
    poses = smooth_poses(14)
    chunk = make_chunk(poses)
    path, late_ns = PosePath(chunk), round(late_s * 1e9)

    def worst_m(lead):
        servo = Servo(KINEMATICS, LIMITS, PERIOD_NS * 1e-9, RIG.servo.blend_s, HOME, 0.0, lead=lead)
        follow = (START_NS, lambda now_ns: servo.follow_chunk(chunk, now_ns))
        done = run(servo, 1.2, inputs=[follow])
        caught_up = done.times_ns > START_NS + 500_000_000
        # where the arm is: what was commanded `late_ns` ago
        reached = zip(done.times_ns[caught_up] + late_ns, done.positions[caught_up])
        return max(
            float(np.linalg.norm(path.sample(at_ns)[0].position - position))
            for at_ns, position in reached
        )

    assert worst_m(Lead(late_ns, late_ns)) < 0.001
    assert worst_m(Lead()) > 0.002


def test_a_plan_is_over_for_an_arm_whose_commands_lead_beyond_its_end():
    chunk = make_chunk(smooth_poses(3))
    servo = Servo(KINEMATICS, LIMITS, 0.002, RIG.servo.blend_s, HOME, 0.0, lead=Lead(60_000_000, 0))
    with pytest.raises(ChunkError, match=r"chunk ended 0\.010 s ago"):
        servo.follow_chunk(chunk, START_NS + 150_000_000)
