"""Tests for control/arbiter.py: who may move the arm, what ends it, and the reason that is told."""

from pathlib import Path

import numpy as np
import pytest

from carp_ros.control.arbiter import Arbiter, Status
from carp_ros.control.command import ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.reports.control import Fault, Reason, Source, Why
from carp_ros.rig import load_rig
from carp_ros.types import Pose, SafetyState, Twist

LIMITS = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml").limits
NOW_NS = 50_000_000_000
MS = 1_000_000
BORNE_MS = round(LIMITS.camera_timeout_s * 1000)  # the oldest image that a policy may act on
ASIDE = Twist(np.array([0.0, 0.1, 0.0]), np.zeros(3))
HERE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))


def servo_state(**changes):
    values = {
        "now_ns": NOW_NS,
        "ticks": 1,
        "robot_time_s": 0.0,
        "joints": np.zeros(6),
        "velocities": np.zeros(6),
        "target_joints": np.zeros(6),
        "tcp_pose": HERE,
        "target_pose": HERE,
        "gripper": 0.0,
        "mode": ServoMode.HOLD,
        "moving": False,
        "ready": True,
        "busy": False,
        "safety": SafetyState.NORMAL,
        "fault": Fault.NONE,
        "fault_text": "",
        "resets_done": 0,
        "chunk_stamp_ns": 0,
        "chunk_begun_ns": 0,
        "chunk_late_ns": 0,
        "chunks_accepted": 0,
        "chunks_refused": 0,
        "refusal": "",
        "priority": 0,
    }
    return ServoState(**{**values, **changes})


@pytest.fixture
def arbiter():
    """Return an arbiter whose two cameras just sent an image."""
    arbiter = Arbiter(LIMITS, ("wrist_cam", "third_cam"))
    arbiter.take_camera("wrist_cam", NOW_NS)
    arbiter.take_camera("third_cam", NOW_NS)
    arbiter.take_deadman(False, NOW_NS)
    return arbiter


@pytest.fixture
def teleop(arbiter):
    """Return an arbiter that lets the operator's hand move the arm."""
    return enabled(arbiter, Source.TELEOP)


@pytest.fixture
def policy(arbiter):
    """Return an arbiter that lets the policy move the arm."""
    return enabled(arbiter, Source.POLICY)


def enabled(arbiter, source):
    arbiter.select(source)
    assert arbiter.enable(NOW_NS) is None
    return arbiter


def test_at_first_nothing_is_enabled_and_the_status_says_what_to_do(arbiter):
    command = arbiter.decide(NOW_NS)

    assert arbiter.status == Status(
        Source.HOLD, False, Why(Reason.NOT_ENABLED, "not enabled yet: select a source and enable")
    )
    assert (command.mode, command.enables, command.resets) == (ServoMode.HOLD, 0, 0)
    assert command.heartbeat_ns == NOW_NS
    assert not command.exit


def test_nothing_is_enabled_before_a_source_is_selected(arbiter):
    refusal = arbiter.enable(NOW_NS)
    assert refusal.code is Reason.NO_SOURCE
    assert "select teleop, policy, hand or home first" in refusal.text
    assert not arbiter.status.enabled
    assert arbiter.decide(NOW_NS).enables == 0


@pytest.mark.parametrize(
    ("source", "mode"), [(Source.POLICY, ServoMode.CHUNK), (Source.HOME, ServoMode.JOINTS)]
)
def test_each_enable_counts_and_lets_its_source_move_the_arm(arbiter, source, mode):
    enabled(arbiter, source)
    assert arbiter.status == Status(source, True, None)
    assert (arbiter.decide(NOW_NS).mode, arbiter.decide(NOW_NS).enables) == (mode, 1)

    assert arbiter.enable(NOW_NS) is None
    assert arbiter.decide(NOW_NS).enables == 2


@pytest.mark.parametrize("first", [Source.TELEOP, Source.POLICY, Source.HOME])
@pytest.mark.parametrize("second", Source)
def test_selecting_stops_whoever_moves_until_the_next_enable(arbiter, first, second):
    enabled(arbiter, first)
    arbiter.select(second)

    why = Why(Reason.SELECTED, f"{second.value} selected: enable to begin")
    assert arbiter.status == Status(second, False, why)
    arbiter.take_deadman(True, NOW_NS)
    assert arbiter.decide(NOW_NS).mode is ServoMode.HOLD


def test_an_operators_stop_is_told_with_its_reason(policy):
    policy.disable(Why(Reason.STOPPED, "stopped by an operator"))

    assert policy.status == Status(
        Source.POLICY, False, Why(Reason.STOPPED, "stopped by an operator")
    )
    assert policy.decide(NOW_NS).mode is ServoMode.HOLD


def test_the_arm_follows_the_hand_only_while_the_dead_man_is_held(teleop):
    assert teleop.decide(NOW_NS).mode is ServoMode.HOLD
    for i, pressed in enumerate([True, False, True], start=1):
        teleop.take_deadman(pressed, NOW_NS + i * MS)
        mode = teleop.decide(NOW_NS + i * MS).mode
        assert mode is (ServoMode.TWIST if pressed else ServoMode.HOLD)
        assert teleop.status.enabled


def test_a_dead_man_held_before_the_enable_does_not_count(arbiter):
    arbiter.take_deadman(True, NOW_NS - 1)
    enabled(arbiter, Source.TELEOP)

    assert arbiter.decide(NOW_NS).mode is ServoMode.HOLD


def test_a_silent_dead_man_ends_teleoperation_until_a_new_enable(teleop):
    teleop.take_deadman(True, NOW_NS)
    assert teleop.decide(NOW_NS + 250 * MS).mode is ServoMode.TWIST

    assert teleop.decide(NOW_NS + 260 * MS).mode is ServoMode.HOLD
    assert not teleop.status.enabled
    assert teleop.status.why.code is Reason.DEADMAN_SILENT
    assert "no dead-man heartbeat for 0.26 s (limit 0.25 s)" in teleop.status.why.text
    assert "is the pointer plugged in" in teleop.status.why.text
    teleop.take_deadman(True, NOW_NS + 270 * MS)
    assert teleop.decide(NOW_NS + 270 * MS).mode is ServoMode.HOLD
    assert teleop.enable(NOW_NS + 280 * MS) is None
    teleop.take_deadman(True, NOW_NS + 290 * MS)
    assert teleop.decide(NOW_NS + 290 * MS).mode is ServoMode.TWIST


def test_teleoperation_may_wait_as_long_after_the_enable_for_its_first_heartbeat(teleop):
    teleop.decide(NOW_NS + 250 * MS)
    assert teleop.status.enabled
    teleop.decide(NOW_NS + 251 * MS)
    assert not teleop.status.enabled


def test_the_newest_twist_is_passed_on(teleop):
    teleop.take_twist(ASIDE, NOW_NS + MS)

    command = teleop.decide(NOW_NS + 2 * MS)
    assert command.twist is ASIDE
    assert command.twist_ns == NOW_NS + MS


def test_a_twist_given_before_the_enable_moves_nothing(arbiter):
    arbiter.take_twist(ASIDE, NOW_NS - 2 * MS)
    enabled(arbiter, Source.TELEOP)
    arbiter.take_twist(ASIDE, NOW_NS - MS)  # late on its way
    arbiter.take_deadman(True, NOW_NS)

    command = arbiter.decide(NOW_NS)
    assert not command.twist.linear.any()
    assert command.twist_ns == NOW_NS


def test_an_image_that_is_missing_or_stale_keeps_the_policy_off():
    arbiter = Arbiter(LIMITS, ("wrist_cam", "third_cam"))
    arbiter.select(Source.POLICY)
    assert arbiter.enable(NOW_NS).code is Reason.IMAGE_MISSING
    assert arbiter.enable(NOW_NS).text.startswith("no image of wrist_cam yet")
    arbiter.take_camera("wrist_cam", NOW_NS)
    assert arbiter.enable(NOW_NS).text.startswith("no image of third_cam yet")
    arbiter.take_camera("third_cam", NOW_NS - (BORNE_MS + 50) * MS)

    refusal = arbiter.enable(NOW_NS)
    assert refusal.code is Reason.IMAGE_STALE
    old_s, limit_s = (BORNE_MS + 50) / 1000, LIMITS.camera_timeout_s
    assert f"newest image of third_cam is {old_s:.2f} s old (limit {limit_s} s)" in refusal.text
    assert not arbiter.status.enabled
    assert arbiter.decide(NOW_NS).enables == 0


def test_a_camera_that_falls_silent_stops_the_policy_for_good(policy):
    policy.take_camera("wrist_cam", NOW_NS + 200 * MS)
    assert policy.decide(NOW_NS + BORNE_MS * MS).mode is ServoMode.CHUNK

    assert policy.decide(NOW_NS + (BORNE_MS + 1) * MS).mode is ServoMode.HOLD
    assert "third_cam" in policy.status.why.text
    policy.take_camera("third_cam", NOW_NS + (BORNE_MS + 2) * MS)
    assert policy.decide(NOW_NS + (BORNE_MS + 2) * MS).mode is ServoMode.HOLD


def after(policy, ms, mode):
    """Tell the arbiter what the servo does so long after the enable."""
    policy.take_state(servo_state(now_ns=NOW_NS + ms * MS, mode=mode))


def test_a_policy_whose_last_chunk_ended_is_stopped_until_a_new_enable(policy):
    after(policy, 200, ServoMode.CHUNK)
    after(policy, 1800, ServoMode.CHUNK)
    assert policy.status.enabled
    after(policy, 1810, ServoMode.HOLD)
    assert not policy.status.enabled
    assert policy.status.why.code is Reason.CHUNKS_ENDED
    assert policy.status.why.text.startswith("the last chunk ended and no other came")
    after(policy, 1820, ServoMode.CHUNK)
    assert policy.decide(NOW_NS + 1820 * MS).mode is ServoMode.HOLD


def test_what_the_servo_did_before_the_enable_does_not_stop_the_policy(policy):
    after(policy, -5, ServoMode.CHUNK)
    after(policy, 5, ServoMode.HOLD)
    after(policy, 200, ServoMode.HOLD)
    after(policy, 300, ServoMode.CHUNK)
    assert policy.status.enabled


def test_a_chunk_that_comes_long_after_the_enable_moves_nothing(policy):
    keep_cameras(policy, NOW_NS + 2000 * MS)
    policy.take_deadman(False, NOW_NS + 2000 * MS)
    assert policy.decide(NOW_NS + 1990 * MS).mode is ServoMode.CHUNK
    assert policy.decide(NOW_NS + 2010 * MS).mode is ServoMode.HOLD
    assert policy.status.why.code is Reason.NO_CHUNK
    assert "no chunk for 2.0 s (limit 2.0 s)" in policy.status.why.text


def test_a_policy_that_sends_chunks_goes_on(policy):
    after(policy, 500, ServoMode.CHUNK)
    keep_cameras(policy, NOW_NS + 5000 * MS)
    policy.take_deadman(False, NOW_NS + 5000 * MS)
    assert policy.decide(NOW_NS + 5000 * MS).mode is ServoMode.CHUNK


def test_a_camera_that_falls_silent_does_not_stop_the_hand(teleop):
    teleop.take_deadman(True, NOW_NS + 900 * MS)

    assert teleop.decide(NOW_NS + 900 * MS).mode is ServoMode.TWIST


@pytest.mark.parametrize("source", [Source.TELEOP, Source.POLICY, Source.HOME])
def test_a_fault_of_the_servo_disables_with_its_words(arbiter, source):
    enabled(arbiter, source)
    arbiter.take_state(servo_state(fault=Fault.TRACKING, fault_text="it is blocked"))

    assert arbiter.status == Status(
        source, False, Why(Reason.FAULT, "it is blocked", Fault.TRACKING)
    )
    assert arbiter.decide(NOW_NS).mode is ServoMode.HOLD
    arbiter.take_state(servo_state())
    assert not arbiter.status.enabled


def test_five_refused_chunks_in_a_row_stop_the_policy(policy):
    for i in range(1, 5):
        policy.take_state(servo_state(chunks_refused=i, refusal="too old"))
    assert policy.status.enabled
    policy.refuse_chunk("wrong frame")

    assert policy.status.why.code is Reason.CHUNKS_REFUSED
    assert policy.status.why.text == "5 chunks refused in a row: wrong frame"
    assert policy.last_refusal == "wrong frame"
    assert not policy.status.enabled


def test_chunks_that_are_followed_between_refusals_let_the_policy_go_on(policy):
    for i in range(1, 20):
        policy.take_state(servo_state(chunks_refused=i, chunks_accepted=i // 4, refusal="too old"))

    assert policy.status.enabled
    assert policy.last_refusal == "too old"


def test_refusals_are_counted_from_the_enable_and_over_a_new_servo_process(policy):
    policy.take_state(servo_state(chunks_refused=4, refusal="too old"))
    assert policy.enable(NOW_NS) is None
    assert policy.last_refusal == ""
    policy.take_state(servo_state(chunks_refused=0))  # a new process counts anew
    policy.take_state(servo_state(chunks_refused=4, refusal="too old"))

    assert policy.status.enabled
    policy.take_state(servo_state(chunks_refused=5, refusal="too old"))
    assert not policy.status.enabled


def test_refused_chunks_do_not_stop_the_hand(teleop):
    for _ in range(10):
        teleop.refuse_chunk("wrong frame")

    assert teleop.status.enabled
    assert teleop.last_refusal == "wrong frame"


def test_home_is_reached_once_the_servo_has_begun_and_stands(arbiter):
    enabled(arbiter, Source.HOME)
    arbiter.take_state(servo_state(now_ns=NOW_NS + 100 * MS))  # may not have begun
    arbiter.take_state(servo_state(now_ns=NOW_NS + 200 * MS, moving=True, mode=ServoMode.JOINTS))
    arbiter.take_state(servo_state(now_ns=NOW_NS + 200 * MS, moving=True, mode=ServoMode.HOLD))
    arbiter.take_state(servo_state(now_ns=NOW_NS + 200 * MS, mode=ServoMode.JOINTS))
    assert arbiter.status.enabled

    arbiter.take_state(servo_state(now_ns=NOW_NS + 300 * MS))

    assert arbiter.status == Status(Source.HOME, False, Why(Reason.HOME_REACHED, "home reached"))


def test_the_loss_of_the_servo_process_is_a_fault_until_a_reset_that_the_next_one_did(policy):
    policy.lose_servo("the servo process died")
    assert policy.status == Status(
        Source.POLICY, False, Why(Reason.SERVO_LOST, "the servo process died")
    )
    assert (policy.fault, policy.fault_text) == (Fault.SERVO_LOST, "the servo process died")

    policy.select(Source.TELEOP)
    refusal = Why(Reason.FAULT, "the servo process died: reset the fault first", Fault.SERVO_LOST)
    assert policy.enable(NOW_NS) == refusal
    policy.take_state(servo_state())  # of the next process
    assert policy.enable(NOW_NS) == refusal
    policy.reset(NOW_NS)
    assert policy.reset_outcome(NOW_NS) is None
    policy.take_state(servo_state(resets_done=1))

    assert policy.fault is Fault.NONE
    assert policy.reset_outcome(NOW_NS) is None  # it must last
    assert policy.reset_outcome(NOW_NS + 200 * MS) == ""
    assert policy.status.why.text == "fault reset: enable to begin"
    assert policy.enable(NOW_NS) is None


def test_how_a_reset_ended_is_told_once(teleop):
    assert teleop.reset_outcome(NOW_NS) is None
    stopped = {"fault": Fault.SAFETY_STOP, "fault_text": "PROTECTIVE_STOP"}
    teleop.take_state(servo_state(**stopped))
    teleop.reset(NOW_NS)
    assert teleop.reset_outcome(NOW_NS + 1000 * MS) is None
    teleop.take_state(
        servo_state(
            **{**stopped, "fault_text": "PROTECTIVE_STOP; reset failed: too early"}, resets_done=1
        )
    )

    outcome = teleop.reset_outcome(NOW_NS)
    assert outcome == "FAULT/SAFETY_STOP: PROTECTIVE_STOP; reset failed: too early"
    assert teleop.reset_outcome(NOW_NS) is None
    teleop.reset(NOW_NS)
    teleop.take_state(servo_state(resets_done=2))
    assert teleop.reset_outcome(NOW_NS) is None
    assert teleop.reset_outcome(NOW_NS + 200 * MS) == ""


def test_a_fault_that_comes_back_at_once_was_not_reset(teleop):
    teleop.reset(NOW_NS)
    teleop.take_state(servo_state(resets_done=1))
    assert teleop.reset_outcome(NOW_NS) is None
    teleop.take_state(servo_state(resets_done=1, fault=Fault.NOT_READY, fault_text="no program"))
    assert teleop.reset_outcome(NOW_NS + 100 * MS) == "FAULT/NOT_READY: no program"


def test_a_reset_that_takes_longer_than_any_recovery_has_failed(teleop):
    teleop.reset(NOW_NS)
    assert teleop.reset_outcome(NOW_NS + 80_000 * MS) is None
    outcome = teleop.reset_outcome(NOW_NS + 80_001 * MS)
    assert outcome == "RESETTING: the servo process did not reset within 80 s"


def test_a_servo_that_is_lost_while_it_resets_keeps_its_fault(teleop):
    teleop.reset(NOW_NS)
    teleop.lose_servo("the servo process died of SIGSEGV")
    assert "SIGSEGV" in teleop.reset_outcome(NOW_NS)
    teleop.take_state(servo_state(resets_done=1))  # the next process takes it for done

    assert teleop.fault is Fault.SERVO_LOST
    teleop.reset(NOW_NS)
    teleop.take_state(servo_state(resets_done=2))
    assert teleop.fault is Fault.NONE


def test_a_reset_ends_motion_and_is_counted(teleop):
    teleop.take_deadman(True, NOW_NS)
    teleop.reset(NOW_NS)

    command = teleop.decide(NOW_NS)
    assert (command.mode, command.resets) == (ServoMode.HOLD, 1)
    assert not teleop.status.enabled


def test_an_enable_that_the_servo_would_not_count_is_refused_with_the_reason(teleop):
    teleop.reset(NOW_NS)
    teleop.take_state(servo_state(resets_done=0))
    refusal = Why(Reason.RESETTING, "the servo is still resetting: enable again in a moment")
    assert teleop.enable(NOW_NS) == refusal

    teleop.take_state(servo_state(resets_done=1))
    assert teleop.enable(NOW_NS) is None


def test_a_policy_stops_when_nobody_could_take_over_and_begins_only_when_somebody_could(policy):
    policy.take_deadman(False, NOW_NS + 100 * MS)
    keep_cameras(policy, NOW_NS + 600 * MS)
    policy.decide(NOW_NS + 600 * MS)
    assert policy.status.enabled

    keep_cameras(policy, NOW_NS + 601 * MS)
    command = policy.decide(NOW_NS + 601 * MS)

    assert command.mode is ServoMode.HOLD
    assert policy.status.why.code is Reason.NO_TAKE_OVER
    assert policy.status.why.text.startswith(
        "nobody could take over: no dead-man heartbeat for 0.50"
    )
    assert "teleop_node" in policy.enable(NOW_NS + 601 * MS).text
    policy.take_deadman(False, NOW_NS + 602 * MS)
    assert not policy.decide(NOW_NS + 602 * MS).mode  # nothing resumes by itself
    assert policy.enable(NOW_NS + 602 * MS) is None


def test_where_the_rig_says_so_a_policy_moves_though_nobody_could_take_over():
    arbiter = Arbiter(LIMITS, (), watch_take_over=False)
    enabled(arbiter, Source.POLICY)
    arbiter.decide(NOW_NS + 1900 * MS)
    assert arbiter.status.enabled


def test_only_the_cameras_that_the_policy_looks_through_count():
    arbiter = Arbiter(LIMITS, ("wrist_cam",))
    arbiter.take_deadman(False, NOW_NS)
    arbiter.take_camera("wrist_cam", NOW_NS)
    arbiter.take_camera("spare_cam", NOW_NS - 10_000 * MS)
    enabled(arbiter, Source.POLICY)
    assert arbiter.decide(NOW_NS).mode is ServoMode.CHUNK


def keep_cameras(arbiter, now_ns):
    for name in ("wrist_cam", "third_cam"):
        arbiter.take_camera(name, now_ns)


@pytest.mark.parametrize("source", [Source.HOLD, Source.POLICY, Source.HOME])
def test_the_gripper_keeps_what_it_holds_when_the_hand_takes_over(arbiter, source):
    arbiter.select(source)
    arbiter.take_gripper(0.1)
    arbiter.take_state(servo_state(gripper=0.8))
    enabled(arbiter, Source.TELEOP)
    arbiter.take_state(servo_state(gripper=0.3))  # on its way

    assert arbiter.decide(NOW_NS).gripper == 0.8
    arbiter.take_gripper(0.2)
    assert arbiter.decide(NOW_NS).gripper == 0.2


def by_hand(arbiter, pressed=True, now_ns=NOW_NS):
    arbiter.take_deadman(pressed, now_ns)
    return arbiter.decide(now_ns).mode


def test_a_hand_moves_the_arm_only_while_enabled_and_the_button_is_held():
    arbiter = Arbiter(LIMITS, ())
    arbiter.select(Source.HAND)
    assert by_hand(arbiter) is ServoMode.HOLD
    assert arbiter.enable(NOW_NS) is None
    assert arbiter.decide(NOW_NS).mode is ServoMode.HOLD  # pressed before the enable
    assert by_hand(arbiter) is ServoMode.GUIDE
    assert by_hand(arbiter, pressed=False) is ServoMode.HOLD
    assert by_hand(arbiter) is ServoMode.GUIDE
    arbiter.disable(Why(Reason.STOPPED, "stopped"))
    assert by_hand(arbiter) is ServoMode.HOLD


def test_silence_of_the_button_ends_hand_guiding_until_an_enable():
    arbiter = Arbiter(LIMITS, ())
    arbiter.select(Source.HAND)
    arbiter.enable(NOW_NS)
    assert by_hand(arbiter) is ServoMode.GUIDE
    assert arbiter.decide(NOW_NS + 251 * MS).mode is ServoMode.HOLD
    assert arbiter.status.why
    assert arbiter.status.why.code is Reason.DEADMAN_SILENT
    assert by_hand(arbiter, now_ns=NOW_NS + 260 * MS) is ServoMode.HOLD


def test_the_operator_s_gripper_goes_on_while_a_hand_guides_the_arm():
    arbiter = Arbiter(LIMITS, ())
    arbiter.select(Source.HAND)
    arbiter.enable(NOW_NS)
    by_hand(arbiter)
    arbiter.take_gripper(0.8)
    arbiter.take_state(servo_state(mode=ServoMode.GUIDE, gripper=0.0))
    assert arbiter.decide(NOW_NS).gripper == 0.8
