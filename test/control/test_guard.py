"""Tests for control/guard.py: what latches, with which words, and what it takes to move again."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.command import Command
from carp_ros.control.guard import Guard
from carp_ros.control.servo import ServoMode
from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.reports.control import Fault
from carp_ros.rig import load_rig
from carp_ros.types import ArmState, Pose, SafetyState, Twist

LIMITS = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml").limits
START_NS = 3_000_000_000
MS = 1_000_000
HERE = Pose(np.array([0.4, 0.0, 0.3]), np.array([0.0, 0.0, 0.0, 1.0]))
STILL = Twist(np.zeros(3), np.zeros(3))
COMMAND = Command(START_NS, ServoMode.TWIST, 4, 2, False, STILL, 0, 0.0)
ARM = ArmState(1.0, np.zeros(6), np.zeros(6), SafetyState.NORMAL, True, 1.0)


class Watched:
    """A guard, and a clock that robot and control node both keep up with unless told not to."""

    def __init__(self):
        self.guard = Guard(LIMITS, state_timeout_s=0.1, heartbeat_timeout_s=0.2)
        self.now_ns = START_NS
        self.arm = ARM
        self.command = COMMAND
        self.target = HERE
        self.robot_runs = self.control_runs = True

    def pass_ms(self, ms=2):
        for _ in range(0, ms, 2):
            self.now_ns += 2 * MS
            if self.robot_runs:
                self.arm = dataclasses.replace(self.arm, robot_time_s=self.now_ns * 1e-9)
            if self.control_runs:
                self.command = dataclasses.replace(self.command, heartbeat_ns=self.now_ns)
            self.guard.watch(self.now_ns, self.arm, HERE, self.target, self.command)

    def enable(self):
        self.command = dataclasses.replace(self.command, enables=self.command.enables + 1)

    @property
    def may_move(self):
        return self.guard.may_move(self.command)


@pytest.fixture
def watched():
    """Return a guard that was watched and enabled, so that motion is allowed."""
    watched = Watched()
    watched.pass_ms()
    watched.enable()
    watched.pass_ms(400)
    assert watched.may_move
    return watched


def silence_the_robot(watched):
    watched.robot_runs = False
    watched.pass_ms(104)


def silence_the_control_node(watched):
    watched.control_runs = False
    watched.pass_ms(204)


def stop_the_program(watched):
    watched.arm = dataclasses.replace(watched.arm, ready=False, explanation="halted by hand")
    watched.pass_ms()


def trip_safety(watched):
    watched.arm = dataclasses.replace(
        watched.arm, safety=SafetyState.PROTECTIVE_STOP, explanation="push the green button"
    )
    watched.pass_ms()


def block_the_tool(watched):
    watched.target = Pose(HERE.position + np.array([0.0, 0.06, 0.0]), HERE.quaternion)
    watched.pass_ms()


def twist_the_tool(watched):
    watched.target = Pose(HERE.position, quaternion_from_rotvec(np.array([0.0, 0.0, 0.4])))
    watched.pass_ms()


def lose_the_pose(watched):
    watched.target = Pose(HERE.position * np.nan, HERE.quaternion)
    watched.pass_ms()


CAUSES = {
    silence_the_robot: (
        Fault.ROBOT_SILENT,
        r"no new robot state for 0.10 s \(limit 0.1 s\).*cable",
    ),
    silence_the_control_node: (
        Fault.CONTROL_SILENT,
        r"no heartbeat of the control node for 0.20 s \(limit 0.2 s\)",
    ),
    stop_the_program: (Fault.NOT_READY, r"follows no joint targets \(halted by hand\): reset"),
    trip_safety: (
        Fault.SAFETY_STOP,
        r"robot is in PROTECTIVE_STOP: push the green button, then reset",
    ),
    block_the_tool: (Fault.TRACKING, r"tool is 0.060 m and 0.00 rad from .*limits 0.05 m, 0.3 rad"),
    twist_the_tool: (Fault.TRACKING, r"tool is 0.000 m and 0.40 rad from"),
    lose_the_pose: (Fault.TRACKING, r"tool is nan m"),
}
causes = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)


def end_cause(watched):
    watched.robot_runs = watched.control_runs = True
    watched.arm = dataclasses.replace(watched.arm, ready=True, safety=SafetyState.NORMAL)
    watched.target = HERE


@causes
def test_a_fault_latches_with_its_words_and_ends_motion(watched, cause):
    fault, words = CAUSES[cause]

    cause(watched)

    assert watched.guard.fault is fault

    assert re.search(words, watched.guard.text)
    assert not watched.may_move
    text = watched.guard.text
    end_cause(watched)
    watched.enable()
    watched.pass_ms(50)
    assert (watched.guard.fault, watched.guard.text) == (fault, text)
    assert not watched.may_move


@causes
def test_after_a_reset_only_an_enable_that_is_newer_moves(watched, cause):
    cause(watched)
    end_cause(watched)
    watched.pass_ms()
    watched.enable()  # while the fault stands: spent
    watched.pass_ms()

    watched.guard.reset(watched.command)
    watched.pass_ms(50)

    assert (watched.guard.fault, watched.guard.text) == (Fault.NONE, "")
    assert not watched.may_move
    watched.enable()
    watched.pass_ms()
    assert watched.may_move


@causes
def test_a_reset_while_the_cause_stands_latches_again(watched, cause):
    cause(watched)
    fault = watched.guard.fault

    watched.guard.reset(watched.command)
    watched.enable()
    watched.pass_ms()

    assert watched.guard.fault is fault
    assert not watched.may_move


@pytest.mark.parametrize("first", CAUSES, ids=lambda cause: cause.__name__)
@pytest.mark.parametrize("second", [stop_the_program, silence_the_control_node, block_the_tool])
def test_the_first_fault_is_the_one_that_is_told(watched, first, second):
    first(watched)
    text = watched.guard.text

    second(watched)

    assert (watched.guard.fault, watched.guard.text) == (CAUSES[first][0], text)


def test_up_to_its_limits_nothing_is_a_fault(watched):
    watched.robot_runs = False
    watched.pass_ms(100)
    watched.robot_runs, watched.control_runs = True, False
    watched.pass_ms(200)
    watched.control_runs = True
    watched.target = Pose(
        HERE.position + np.array([0.0, 0.0499, 0.0]),
        quaternion_from_rotvec(np.array([0.299, 0.0, 0.0])),
    )
    watched.pass_ms(100)

    assert watched.guard.fault is Fault.NONE
    assert watched.may_move


@pytest.mark.parametrize("mode", SafetyState)
def test_the_arm_moves_only_in_the_safety_states_that_allow_it(watched, mode):
    watched.arm = dataclasses.replace(watched.arm, safety=mode)
    watched.pass_ms()

    assert watched.may_move == mode.may_move
    assert (watched.guard.fault is Fault.SAFETY_STOP) != mode.may_move
    assert watched.may_move or mode.name in watched.guard.text


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_was_enabled_or_reset_before_the_process_began_does_not_count(enables, resets):
    watched = Watched()
    watched.command = dataclasses.replace(COMMAND, enables=enables, resets=resets)
    assert not watched.may_move

    watched.pass_ms(20)

    assert not watched.may_move
    assert not watched.guard.reset_asked(watched.command)
    assert watched.guard.fault is Fault.NONE
    watched.enable()
    assert watched.may_move


def test_nothing_moves_and_nothing_is_a_fault_before_the_first_command():
    watched = Watched()
    trip_arm = dataclasses.replace(ARM, ready=False)
    watched.guard.watch(START_NS, trip_arm, HERE, HERE, None)

    assert watched.guard.fault is Fault.NONE
    assert not watched.guard.may_move(None)
    assert not watched.guard.reset_asked(None)


def test_a_reset_that_fails_keeps_the_fault_says_why_once_and_is_not_tried_again(watched):
    trip_safety(watched)
    cause = watched.guard.text

    for why in ("the e-stop is pressed", "too early"):
        command = dataclasses.replace(watched.command, resets=watched.command.resets + 1)
        watched.command = command
        assert watched.guard.reset_asked(command)
        watched.guard.refuse_reset(command, why)
        assert not watched.guard.reset_asked(command)
        assert watched.guard.fault is Fault.SAFETY_STOP
        assert watched.guard.text == f"{cause}; reset failed: {why}"
        assert watched.guard.resets_done == command.resets
    assert not watched.may_move


def test_a_fault_of_the_caller_latches_too(watched):
    watched.guard.latch(Fault.REFUSED, "the target was not accepted", watched.command)

    assert watched.guard.text == "the target was not accepted"
    assert not watched.may_move
    watched.guard.reset(watched.command)
    assert not watched.may_move


def test_silence_of_the_control_node_is_no_fault_while_nothing_is_enabled():
    watched = Watched()
    watched.pass_ms()

    silence_the_control_node(watched)

    assert watched.guard.fault is Fault.NONE
    watched.enable()
    watched.pass_ms()
    assert watched.guard.fault is Fault.CONTROL_SILENT
    assert not watched.may_move


@pytest.mark.parametrize("sign", [Fault.REFUSED, Fault.NOT_READY])
def test_a_safety_stop_takes_the_place_of_its_first_sign_and_of_nothing_else(watched, sign):
    watched.guard.latch(sign, "the target was not accepted", watched.command)
    watched.guard.latch(Fault.TRACKING, "too far", watched.command)
    assert watched.guard.fault is sign
    watched.guard.latch(Fault.SAFETY_STOP, "the robot is in PROTECTIVE_STOP", watched.command)
    assert (watched.guard.fault, watched.guard.text[-15:]) == (Fault.SAFETY_STOP, "PROTECTIVE_STOP")
    watched.guard.latch(sign, "the target was not accepted", watched.command)
    assert watched.guard.fault is Fault.SAFETY_STOP


PUSHED_N = LIMITS.max_contact_force_n + 1.0


def push(watched, force_n, mode=ServoMode.CHUNK):
    wrench = np.array([0.0, 0.6 * force_n, -0.8 * force_n, 0.0, 0.0, 0.0])
    watched.arm = dataclasses.replace(watched.arm, wrench=wrench)
    watched.command = dataclasses.replace(watched.command, mode=mode)


def test_contact_stops_a_policy_until_a_reset_and_an_enable(watched):
    push(watched, PUSHED_N)
    watched.pass_ms(14)
    assert watched.guard.fault is Fault.CONTACT
    said = f"{PUSHED_N:.0f} N push the tool (limit {LIMITS.max_contact_force_n:.0f} N, "
    assert watched.guard.text.startswith(said)
    push(watched, 0.0)
    watched.pass_ms(1000)
    assert watched.guard.fault is Fault.CONTACT
    watched.command = dataclasses.replace(watched.command, resets=watched.command.resets + 1)
    watched.guard.reset(watched.command)
    watched.pass_ms(100)
    assert (watched.guard.fault, watched.may_move) == (Fault.NONE, False)
    watched.enable()
    watched.pass_ms(100)
    assert watched.may_move


@pytest.mark.parametrize("mode", [ServoMode.HOLD, ServoMode.TWIST, ServoMode.JOINTS])
def test_an_operator_may_push_as_hard_as_the_robot_itself_allows(watched, mode):
    push(watched, 3.0 * PUSHED_N, mode)
    watched.pass_ms(100)
    assert watched.guard.fault is Fault.NONE


def test_neither_a_peak_nor_a_push_below_the_limit_is_a_contact(watched):
    for _ in range(20):
        push(watched, PUSHED_N)
        watched.pass_ms(8)
        push(watched, PUSHED_N - 2.0)
        watched.pass_ms(8)
    assert watched.guard.fault is Fault.NONE


def test_a_force_that_is_no_number_counts_as_a_contact(watched):
    push(watched, np.nan)
    watched.pass_ms(14)
    assert watched.guard.fault is Fault.CONTACT


def test_an_arm_that_measures_no_force_is_not_stopped(watched):
    watched.arm = dataclasses.replace(watched.arm, wrench=None)
    watched.command = dataclasses.replace(watched.command, mode=ServoMode.CHUNK)
    watched.pass_ms(100)
    assert watched.guard.fault is Fault.NONE
