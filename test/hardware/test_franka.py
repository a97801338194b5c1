"""The real franky-control against the emulated FR3, which is another process.

The emulated robot's time stands still while that process gets no CPU time, so these tests wait for
the robot's clock, and hold on a busy machine too.
"""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.franka import LONGEST_RECOVERY_S, FrankaArm
from carp_ros.rig import load_rig
from carp_ros.rig_devices import Fr3ArmConfig
from carp_ros.types import ArmState, Array, SafetyState

pytestmark = pytest.mark.realtime

RIG = load_rig(Path(__file__).parents[2] / "config" / "fr3_sim.yaml")
PERIOD_S = 0.002
PATIENCE_S = 60.0
TURN = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])

MOVE_FOR_EVER = """
import sys, time
import numpy as np
from carp_ros.hardware.franka import FrankaArm
from carp_ros.rig_devices import (Fr3ArmConfig)
from carp_ros.robots import FR3
arm = FrankaArm(Fr3ArmConfig(host=sys.argv[1], enforce_realtime=False), FR3, 500.0)
arm.connect()
target = arm.read().joints
while True:
    target[0] += 0.0006
    arm.servo(target)
    sys.stdout.write(".")
    sys.stdout.flush()
    time.sleep(0.002)
"""


def make_arm(controller, **changes) -> FrankaArm:
    config = dataclasses.replace(RIG.arm, host=controller.host, **changes)
    return FrankaArm(config, RIG.robot, 1.0 / PERIOD_S)


@pytest.fixture
def arm(fr3_controller) -> Iterator[FrankaArm]:
    arm = make_arm(fr3_controller)
    arm.connect()
    yield arm
    arm.close()


def follow(arm: FrankaArm, robot_s: float, amplitude_rad: float = 0.0) -> list[ArmState]:
    """Stream a slow swing, or hold, for so long by the robot's clock; return the states.

    The targets start where the last ones ended, so that holding lets the arm arrive there.
    """
    states = [arm.read()]
    start, start_s = getattr(arm, "_last", None), states[0].robot_time_s
    start = states[0].joints if start is None else start
    deadline_s = time.monotonic() + PATIENCE_S
    while states[-1].robot_time_s < start_s + robot_s:
        assert time.monotonic() < deadline_s
        swing = (1.0 - np.cos(np.pi * (states[-1].robot_time_s - start_s) / robot_s)) / 2.0
        arm.servo(start + amplitude_rad * swing * TURN)
        time.sleep(PERIOD_S)
        states.append(arm.read())
    return states


def wait_until(condition, what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def stopped(arm: FrankaArm, state: SafetyState) -> ArmState:
    """Wait until the arm reports a state, and return the reading."""
    readings: list[ArmState] = []

    def is_so() -> bool:
        readings.append(arm.read())
        return readings[-1].safety is state and not readings[-1].velocities.any()

    wait_until(is_so, f"no {state.name}")
    assert not readings[-1].ready
    with pytest.raises(DeviceError, match="accepted no command"):
        arm.servo(readings[-1].joints)
    return readings[-1]


def watch(controller, readings: int = 20) -> Array:
    """Return where the arm really is, a few times."""
    joints = []
    for _ in range(readings):
        joints.append(controller.faults.state()["joints"])
        time.sleep(0.005)
    return np.array(joints)


def assert_still(joints: Array) -> None:
    assert np.abs(joints - joints[0]).max() < 1e-6


def test_connecting_moves_nothing_and_reads_where_the_arm_is(fr3_controller, arm):
    state, truth = arm.read(), fr3_controller.faults.state()
    np.testing.assert_allclose(state.joints, truth["joints"], atol=1e-6)  # sent as float32
    assert state.ready
    assert state.safety is SafetyState.NORMAL
    assert state.explanation == ""
    assert truth["fastest_rad_s"] < 1e-3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the permission to run threads in real time")
def test_only_the_control_loop_runs_at_the_highest_priority(fr3_controller, arm):
    """franky-control gives it to the thread that connects, too, which then starves all others."""
    fr3_controller.faults.protective_stop()
    stopped(arm, SafetyState.PROTECTIVE_STOP)
    arm.recover()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    threads = [int(task) for task in os.listdir("/proc/self/task")]
    priorities = [os.sched_getparam(task).sched_priority for task in threads]
    assert [priority for priority in priorities if priority] == [99]


def test_the_arm_follows_a_streamed_swing(arm):
    states = follow(arm, 0.5, amplitude_rad=0.1)
    follow(arm, 1.2)  # the last joint is softer than the others
    moved = arm.read().joints - states[0].joints
    np.testing.assert_allclose(moved, 0.1 * TURN, atol=0.01)
    times_s = np.array([state.robot_time_s for state in states])
    assert (np.diff(times_s) >= 0.0).all()


def test_a_reflex_stops_the_arm_until_it_is_recovered_where_it_stands(fr3_controller, arm):
    follow(arm, 0.2, amplitude_rad=0.05)
    fr3_controller.faults.protective_stop()
    state = stopped(arm, SafetyState.PROTECTIVE_STOP)
    assert "cartesian_reflex" in state.explanation
    assert "clear what the arm collided with" in state.explanation
    before = watch(fr3_controller)
    arm.recover()
    assert arm.read().ready
    follow(arm, 0.05)
    np.testing.assert_allclose(watch(fr3_controller), before[:1].repeat(20, axis=0), atol=1e-4)


def test_recovery_does_not_obey_the_target_from_before_the_reflex(fr3_controller, arm):
    states = follow(arm, 0.05)
    arm.servo(states[-1].joints + 0.02 * TURN)  # far from reached when the stop comes
    fr3_controller.faults.protective_stop()
    state = stopped(arm, SafetyState.PROTECTIVE_STOP)
    arm.recover()
    time.sleep(0.2)
    assert np.abs(watch(fr3_controller) - state.joints).max() < 2e-3


def test_a_user_stop_is_recovered_only_once_it_is_released(fr3_controller, arm):
    follow(arm, 0.1, amplitude_rad=0.03)
    fr3_controller.faults.emergency_stop()
    assert "release the user stop" in stopped(arm, SafetyState.SAFEGUARD_STOP).explanation
    with pytest.raises(DeviceError, match="stopped by its user stop; release it"):
        arm.recover()
    before = watch(fr3_controller)
    fr3_controller.faults.release_emergency_stop()
    assert not arm.read().ready
    arm.recover()
    follow(arm, 0.05)
    np.testing.assert_allclose(watch(fr3_controller), before[:1].repeat(20, axis=0), atol=1e-4)


def test_lost_commands_are_a_violation_that_names_its_cause(fr3_controller, arm):
    follow(arm, 0.05)
    fr3_controller.faults.lose_commands(0.6)
    state = stopped(arm, SafetyState.PROTECTIVE_STOP)
    assert "communication_constraints_violation (commands came too late" in state.explanation
    wait_until(lambda: fr3_controller.faults.state()["time_s"] > state.robot_time_s + 0.7, "")
    arm.recover()
    assert follow(arm, 0.05)[-1].ready


def test_an_arm_that_something_holds_stops_with_a_reflex_and_not_by_force(fr3_controller, arm):
    fr3_controller.faults.block_arm()
    start = arm.read().joints

    def push() -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        for step in itertools.count():
            arm.servo(start + min(0.0002 * step, 0.1) * TURN)
            assert time.monotonic() < deadline_s
            time.sleep(PERIOD_S)

    with pytest.raises(DeviceError, match="accepted no command"):
        push()
    assert "joint_reflex" in stopped(arm, SafetyState.PROTECTIVE_STOP).explanation
    fr3_controller.faults.release_arm()
    arm.recover()
    follow(arm, 0.05)
    assert np.abs(watch(fr3_controller) - start).max() < 1e-3


def test_recovering_an_arm_that_is_ready_leaves_its_motion_alone(fr3_controller, arm):
    arm.recover()
    assert follow(arm, 0.05)[-1].ready


def test_targets_that_cease_leave_the_arm_at_the_last_one(fr3_controller, arm):
    follow(arm, 0.3, amplitude_rad=0.05)
    states = follow(arm, 0.5)
    at_s = fr3_controller.faults.state()["time_s"]
    wait_until(lambda: fr3_controller.faults.state()["time_s"] > at_s + 0.5, "")
    assert np.ptp(watch(fr3_controller), axis=0).max() < 1e-3
    assert np.abs(arm.read().joints - states[-1].joints).max() < 0.02


def test_in_silence_the_clock_of_the_robot_stands_still(fr3_controller, arm):
    follow(arm, 0.05)
    fr3_controller.faults.silence(0.25)
    time.sleep(0.05)
    told = [arm.read().robot_time_s for _ in range(10)]
    assert max(told) == min(told)


def test_a_dropped_link_is_said_and_stops_the_arm(fr3_controller):
    arm = make_arm(fr3_controller)
    arm.connect()
    follow(arm, 0.2, amplitude_rad=0.05)
    fr3_controller.faults.drop_link()
    wait_until(lambda: not any(fr3_controller.faults.state()["velocities"]), "it still moves")
    resting = watch(fr3_controller)

    def is_lost() -> bool:
        try:
            return not arm.read().ready
        except DeviceError as error:
            assert fr3_controller.host in str(error)  # noqa: PT017
            return True

    wait_until(is_lost, "nobody noticed")
    arm.close()
    assert_still(np.vstack([resting, watch(fr3_controller)]))
    again = make_arm(fr3_controller)
    again.connect()
    assert follow(again, 0.05)[-1].ready
    again.close()


def test_closing_a_moving_arm_brings_it_to_rest(fr3_controller):
    arm = make_arm(fr3_controller)
    arm.connect()
    follow(arm, 0.2, amplitude_rad=0.05)
    arm.close()
    wait_until(lambda: not fr3_controller.faults.state()["moving"], "its motion goes on")
    assert_still(watch(fr3_controller))
    with pytest.raises(DeviceError, match="connect first"):
        arm.read()


def test_a_second_client_is_turned_away_and_the_first_goes_on(fr3_controller, arm):
    with pytest.raises(DeviceError, match="no other program commands it"):
        make_arm(fr3_controller).connect()
    assert follow(arm, 0.05)[-1].ready


def test_a_stopped_robot_is_connected_and_says_why_until_it_is_recovered(fr3_controller):
    fr3_controller.faults.protective_stop()
    arm = make_arm(fr3_controller)
    arm.connect()
    assert "cartesian_reflex" in stopped(arm, SafetyState.PROTECTIVE_STOP).explanation
    arm.recover()
    assert arm.read().ready
    arm.close()


def test_nothing_listening_is_named_with_its_address_and_what_to_do():
    arm = FrankaArm(Fr3ArmConfig(host="127.250.250.250"), RIG.robot, 500.0)
    with pytest.raises(DeviceError, match=r"127\.250\.250\.250: port 1337 is closed.*FCI in Desk"):
        arm.connect()


@pytest.mark.skipif("PREEMPT_RT" in os.uname().version, reason="this kernel is real-time")
def test_a_kernel_that_is_not_real_time_is_refused_with_the_remedy(fr3_controller):
    arm = make_arm(fr3_controller, enforce_realtime=True)
    with pytest.raises(DeviceError, match=r"arm\.enforce_realtime: false"):
        arm.connect()
    arm.close()


@pytest.mark.parametrize("target", [np.full(7, np.nan), np.zeros(6)], ids=["nan", "six"])
def test_a_target_that_is_no_joint_position_is_not_sent(fr3_controller, arm, target):
    with pytest.raises(DeviceError, match="expected 7 finite numbers"):
        arm.servo(target)
    assert fr3_controller.faults.state()["fastest_rad_s"] < 1e-3


def test_recovering_fits_into_the_time_that_all_who_watch_it_give():
    assert Fr3ArmConfig.recovery_s >= LONGEST_RECOVERY_S


def test_a_killed_client_leaves_an_arm_that_stops(fr3_controller):
    process = subprocess.Popen(
        [sys.executable, "-c", MOVE_FOR_EVER, fr3_controller.host],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(50) == "." * 50
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not fr3_controller.faults.state()["moving"], "its motion goes on")
    wait_until(lambda: not any(fr3_controller.faults.state()["velocities"]), "it still moves")
    assert_still(watch(fr3_controller))


def guide(arm: FrankaArm, robot_s: float) -> list[ArmState]:
    """Let a hand guide the arm for so long by the robot's clock; return the states."""
    states = [arm.read()]
    deadline_s = time.monotonic() + PATIENCE_S
    while states[-1].robot_time_s < states[0].robot_time_s + robot_s:
        assert time.monotonic() < deadline_s
        arm.keep_guiding()
        time.sleep(PERIOD_S)
        states.append(arm.read())
    return states


def travel(states: list[ArmState]) -> float:
    joints = np.array([state.joints for state in states])
    return float(np.abs(joints - joints[0]).max())


def test_the_wrench_is_what_pushes_the_flange_in_base_axes(fr3_controller, arm):
    assert not np.asarray(arm.read().wrench).any()
    fr3_controller.faults.push(3.0, -2.0, 4.0, 0.5, -0.6, 0.7)
    follow(arm, 0.05)
    np.testing.assert_allclose(arm.read().wrench, [3.0, -2.0, 4.0, 0.5, -0.6, 0.7], atol=1e-4)


def test_a_hand_moves_the_free_arm_and_the_servo_goes_on_where_it_stands(fr3_controller, arm):
    follow(arm, 0.1)
    arm.start_guiding()
    assert travel(guide(arm, 0.2)) < 1e-4  # nobody pushes
    fr3_controller.faults.push(0.0, 4.0, 0.0)
    assert travel(guide(arm, 0.3)) > 0.02
    fr3_controller.faults.push(0.0, 0.0, 0.0)
    arm.end_guiding()
    assert np.abs(arm.read().velocities).max() < 0.05
    assert travel(follow(arm, 0.3)) < 2e-3  # no jump
    fr3_controller.faults.push(0.0, 8.0, 0.0)
    assert travel(follow(arm, 0.5)) < 0.03  # stiff again: it yields as its stiffness says
    fr3_controller.faults.push(0.0, 0.0, 0.0)


def test_a_hand_may_push_a_guided_arm_harder_than_a_moving_one(fr3_controller):
    arm = make_arm(fr3_controller, guided_damping_nm_s_rad=20.0)
    arm.connect()
    harder_n = 1.2 * RIG.arm.collision_force_n
    arm.start_guiding()
    fr3_controller.faults.push(0.0, 0.0, harder_n)
    guide(arm, 0.05)
    assert arm.read().safety is SafetyState.NORMAL
    fr3_controller.faults.push(0.0, 0.0, 0.0)
    arm.end_guiding()
    fr3_controller.faults.push(0.0, 0.0, harder_n)
    with pytest.raises(DeviceError, match="controller is not running"):
        follow(arm, 0.5)
    assert "harder than arm.collision_force_n" in arm.read().explanation
    arm.close()


def test_a_reflex_ends_hand_guiding_and_a_recovery_begins_stiff(fr3_controller, arm):
    arm.start_guiding()
    guide(arm, 0.1)
    fr3_controller.faults.protective_stop()
    with pytest.raises(DeviceError, match="controller is not running"):
        guide(arm, 0.5)
    with pytest.raises(DeviceError, match="controller is not running"):
        arm.end_guiding()
    arm.recover()
    fr3_controller.faults.push(0.0, 8.0, 0.0)
    assert travel(follow(arm, 0.4)) < 0.03
    fr3_controller.faults.push(0.0, 0.0, 0.0)


def test_a_recovery_of_a_guided_arm_holds_it(fr3_controller, arm):
    arm.start_guiding()
    guide(arm, 0.1)
    arm.recover()
    fr3_controller.faults.push(0.0, 8.0, 0.0)
    assert travel(follow(arm, 0.4)) < 0.03
    fr3_controller.faults.push(0.0, 0.0, 0.0)
