"""The real ur-rtde against the emulated controller, which is another process."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.geometry import matrix_from_quaternion, quaternion_from_rotvec
from carp_ros.hardware.ur import LONGEST_RECOVERY_S, UrArm
from carp_ros.rig_devices import UrArmConfig, UrAxis
from carp_ros.robots import UR5E
from carp_ros.sim.ur.kinematics import UrKinematics
from carp_ros.types import ArmState, Array, SafetyState

pytestmark = pytest.mark.realtime

PERIOD_S = 0.002
WATCHDOG_S = 0.2  # long enough for a busy machine that runs other tests beside these
STOP_RAD_S2 = 10.0  # how hard the emulated controller stops
TURN = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])

MOVE_FOR_EVER = """
import sys, time
import numpy as np
from carp_ros.hardware.ur import UrArm
from carp_ros.rig_devices import (UrArmConfig, UrAxis)
arm = UrArm(UrArmConfig(host=sys.argv[1], watchdog_hz=float(sys.argv[2])))
arm.connect()
target, due_s = arm.read().joints, time.monotonic()
step_rad = -0.3 * 0.002 * np.sign(target[0])
while True:
    target[0] += step_rad
    arm.servo(target)
    sys.stdout.write(".")
    sys.stdout.flush()
    due_s += 0.002
    time.sleep(max(0.0, due_s - time.monotonic()))
"""

CLOSE_WHEN_TOLD = """
import sys
from carp_ros.hardware.ur import UrArm
from carp_ros.rig_devices import (UrArmConfig, UrAxis)
arm = UrArm(UrArmConfig(host=sys.argv[1]))
arm.connect()
sys.stdout.write(".")
sys.stdout.flush()
sys.stdin.read()
arm.close()
"""


def config(ur_controller) -> UrArmConfig:
    return UrArmConfig(host=ur_controller.host, watchdog_hz=1 / WATCHDOG_S)


@pytest.fixture
def arm(ur_controller) -> Iterator[UrArm]:
    connected = UrArm(config(ur_controller))
    connected.connect()
    yield connected
    connected.close()


class Stream:
    """Streams targets at 500 Hz and keeps what was sent and what the arm said."""

    def __init__(self, arm: UrArm) -> None:
        self.arm = arm
        self.start = arm.read().joints
        self.targets: list[Array] = []
        self.states: list[ArmState] = []

    def run(self, duration_s: float, amplitude_rad: float = 0.0) -> "Stream":
        """Follow one slow sine of the first and last joint; amplitude 0 holds."""
        due_s = time.monotonic()
        for i in range(round(duration_s / PERIOD_S)):
            angle = amplitude_rad * np.sin(2 * np.pi * i * PERIOD_S)
            self.targets.append(self.start + angle * TURN)
            self.arm.servo(self.targets[-1])
            self.states.append(self.arm.read())
            due_s += PERIOD_S
            time.sleep(max(0.0, due_s - time.monotonic()))
        return self

    def run_into_stop(self) -> None:
        """Move until the arm takes no more targets."""
        with pytest.raises(DeviceError, match="its program is not running"):
            self.run(2.0, amplitude_rad=0.1)
        wait_for_stop_of_program(self.arm)  # ur-rtde's other socket may hear of it later

    @property
    def joints(self) -> np.ndarray:
        return np.array([state.joints for state in self.states])


def wait_for_stop_of_program(arm: UrArm) -> None:
    deadline_s = time.monotonic() + 1.0
    while arm.read().ready:
        assert time.monotonic() < deadline_s
        time.sleep(PERIOD_S)


def watch(ur_controller, duration_s: float) -> np.ndarray:
    """Return the joints that the controller itself sees for a while, of shape (N, 6)."""
    joints, until_s = [], time.monotonic() + duration_s
    while time.monotonic() < until_s:
        joints.append(ur_controller.faults.state()["joints"])
        time.sleep(0.004)
    return np.array(joints)


def assert_still(joints: np.ndarray) -> None:
    assert np.abs(joints - joints[0]).max() < 1e-9


def wait_for_unlock(ur_controller) -> None:
    time.sleep(ur_controller.unlock_delay_s)


def test_connecting_moves_nothing_and_reads_where_the_arm_is(ur_controller, arm):
    state = arm.read()
    truth = ur_controller.faults.state()
    np.testing.assert_array_equal(state.joints, truth["joints"])
    assert state.ready
    assert state.safety is SafetyState.NORMAL
    assert state.robot_time_s == pytest.approx(truth["time_s"], abs=0.05)
    assert truth["fastest_rad_s"] == 0.0


def test_the_arm_follows_a_streamed_sine_late_by_its_lookahead(arm):
    stream = Stream(arm).run(1.1, amplitude_rad=0.1)
    targets, joints = np.array(stream.targets), stream.joints
    delays = range(1, 40)
    errors = [np.abs(targets[:-delay] - joints[delay:]).max() for delay in delays]
    assert min(errors) < 0.02
    assert 0.02 < delays[int(np.argmin(errors))] * PERIOD_S < 0.06
    times_s = np.array([state.robot_time_s for state in stream.states])
    assert (np.diff(times_s) >= 0.0).all()


def test_a_protective_stop_ends_motion_until_it_is_recovered(ur_controller, arm):
    Stream(arm).run(0.3, amplitude_rad=0.1)
    ur_controller.faults.protective_stop()
    Stream(arm).run_into_stop()
    assert arm.read().safety is SafetyState.PROTECTIVE_STOP
    slowing = watch(ur_controller, 0.2)
    assert_still(slowing[-10:])
    with pytest.raises(DeviceError, match="Cannot unlock protective stop until"):
        arm.recover()
    wait_for_unlock(ur_controller)
    arm.recover()
    assert arm.read().ready
    assert_still(np.vstack([slowing[-1], Stream(arm).run(0.3).joints]))


def test_recovery_does_not_obey_the_target_from_before_the_stop(ur_controller, arm):
    stream = Stream(arm).run(0.1)
    arm.servo(stream.start + 0.1 * TURN)  # far from reached when the stop comes
    ur_controller.faults.protective_stop()
    wait_for_unlock(ur_controller)
    before = watch(ur_controller, 0.02)
    assert np.abs(before[-1] - stream.start - 0.1 * TURN).max() > 0.05
    arm.recover()
    assert_still(np.vstack([before, watch(ur_controller, 0.3)]))


def test_an_emergency_stop_is_recovered_with_power_and_brakes(ur_controller, arm):
    Stream(arm).run(0.2, amplitude_rad=0.1)
    ur_controller.faults.emergency_stop()
    Stream(arm).run_into_stop()
    assert arm.read().safety is SafetyState.EMERGENCY_STOP
    with pytest.raises(DeviceError, match="ROBOT_EMERGENCY_STOP; release the emergency stop"):
        arm.recover()
    ur_controller.faults.release_emergency_stop()
    assert not arm.read().ready
    arm.recover()
    assert_still(Stream(arm).run(0.2).joints)


def test_a_killed_program_is_started_again(ur_controller, arm):
    Stream(arm).run(0.05)
    ur_controller.faults.kill_program()
    Stream(arm).run_into_stop()
    arm.recover()
    assert_still(Stream(arm).run(0.1).joints)


def test_recovering_an_arm_that_is_ready_leaves_its_program_alone(ur_controller, arm):
    arm.recover()
    Stream(arm).run(0.1)
    assert ur_controller.faults.state()["runtime"] == "PLAYING"


def test_a_pause_longer_than_the_watchdog_allows_stops_the_program(arm):
    Stream(arm).run(0.1)
    time.sleep(2 * WATCHDOG_S)
    assert not arm.read().ready


def test_in_silence_the_clock_of_the_robot_stands_still_and_the_arm_stops(ur_controller, arm):
    stream = Stream(arm).run(0.2, amplitude_rad=0.1)
    ur_controller.faults.silence(0.6)
    time.sleep(0.02)
    told = len(stream.states)
    stream.run(0.4)  # ur-rtde accepts every target though nobody listens
    times_s = [state.robot_time_s for state in stream.states[told:]]
    assert max(times_s) == min(times_s)
    assert ur_controller.faults.state()["runtime"] == "STOPPED"
    wait_for_stop_of_program(arm)
    resting = watch(ur_controller, 0.02)
    arm.recover()
    assert_still(np.vstack([resting, Stream(arm).run(0.1).joints]))


def test_closing_a_moving_arm_stops_it_and_its_program(ur_controller):
    arm = UrArm(config(ur_controller))
    arm.connect()
    Stream(arm).run(0.2, amplitude_rad=0.1)
    arm.close()
    assert ur_controller.faults.state()["runtime"] == "STOPPED"
    assert_still(watch(ur_controller, 0.05))
    with pytest.raises(DeviceError, match="connect first"):
        arm.read()


def test_a_second_client_is_refused_and_the_first_goes_on(ur_controller, arm):
    with pytest.raises(DeviceError, match="another program commands the arm"):
        UrArm(config(ur_controller)).connect()
    arm.recover()
    assert_still(Stream(arm).run(0.05).joints)


def test_an_arm_that_is_not_operational_is_not_connected(ur_controller):
    faults, arm = ur_controller.faults, UrArm(config(ur_controller))
    faults.remote_control(False)
    with pytest.raises(DeviceError, match="switch its pendant to remote control"):
        arm.connect()
    faults.remote_control(True)
    faults.protective_stop()
    with pytest.raises(DeviceError, match="in PROTECTIVE_STOP; clear the cause at its pendant"):
        arm.connect()
    faults.emergency_stop()
    faults.restore()
    faults.emergency_stop()
    faults.release_emergency_stop()
    with pytest.raises(DeviceError, match="in POWER_OFF; power it on"):
        arm.connect()
    arm.recover()  # powers it, and connects
    assert arm.read().ready
    arm.close()


def test_nothing_listening_is_named_with_its_address():
    with pytest.raises(DeviceError, match=r"127\.250\.250\.250"):
        UrArm(UrArmConfig(host="127.250.250.250")).connect()


def test_recovering_fits_into_the_time_that_all_who_watch_it_give():
    assert UrArmConfig.recovery_s >= LONGEST_RECOVERY_S


@pytest.mark.parametrize("rate_hz", [500.0, 125.0])
def test_a_target_counts_for_the_period_in_which_the_next_comes(ur_controller, rate_hz):
    arm = UrArm(config(ur_controller), rate_hz)
    arm.connect()
    arm.servo(arm.read().joints)
    time.sleep(0.02)
    assert ur_controller.faults.state()["servo_time_s"] == pytest.approx(1.0 / rate_hz)
    arm.close()


def test_the_slider_of_the_pendant_is_read(ur_controller, arm):
    assert arm.read().speed_scaling == 1.0
    ur_controller.faults.speed_slider(0.3)
    time.sleep(0.02)
    assert arm.read().speed_scaling == pytest.approx(0.3)
    with pytest.raises(DeviceError, match="expected 0 to 1"):
        ur_controller.faults.speed_slider(1.5)


def test_joints_that_are_no_numbers_are_no_state(arm, monkeypatch):
    class Broken:
        """A controller whose encoders tell nonsense."""

        def isConnected(self):
            return True

        def getActualQ(self):
            return [0.0, float("nan"), 0.0, 0.0, 0.0, 0.0]

        def getActualQd(self):
            return [0.0] * 6

    monkeypatch.setattr(arm, "_receive", Broken())
    with pytest.raises(DeviceError, match="expected finite numbers"):
        arm.read()


@pytest.mark.parametrize("target", [np.full(6, np.nan), np.zeros(5)], ids=["nan", "five"])
def test_a_target_that_is_no_joint_position_is_not_sent(ur_controller, arm, target):
    with pytest.raises(DeviceError, match="expected 6 finite numbers"):
        arm.servo(target)
    assert ur_controller.faults.state()["fastest_rad_s"] == 0.0


def test_a_link_that_ur_rtde_fails_to_make_anew_is_said_in_a_line(ur_controller, arm, monkeypatch):
    class Lost:
        """A link that ur-rtde tried in vain to make anew."""

        def servoJ(self, *target):
            raise RuntimeError("Couldn't resolve the registers")

    monkeypatch.setattr(arm, "_control", Lost())
    with pytest.raises(DeviceError, match=rf"no link to the arm at {ur_controller.host}: Couldn't"):
        arm.servo(arm.read().joints)


@pytest.mark.parametrize("changes", [{"gain": 50.0}, {"lookahead_s": 0.5}])
def test_what_servoj_does_not_take_is_refused_at_once(changes):
    (key,) = changes
    with pytest.raises(ValueError, match=f"arm.{key}"):
        UrArm(dataclasses.replace(UrArmConfig(), **changes))


def client(ur_controller, code: str, dots: int) -> subprocess.Popen[str]:
    """Return another process that runs `code`, once it has written so many dots."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, ur_controller.host, str(1 / WATCHDOG_S)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(dots) == "." * dots
    return process


def wait_for_stop() -> None:
    """Wait as long as the watchdog and the stop from 0.3 rad/s may take, and a little more."""
    time.sleep(WATCHDOG_S + 0.3 / STOP_RAD_S2 + 0.05)


def test_a_killed_client_leaves_an_arm_that_stops(ur_controller):
    process = client(ur_controller, MOVE_FOR_EVER, dots=100)
    process.send_signal(signal.SIGKILL)
    wait_for_stop()
    process.communicate()
    assert_still(watch(ur_controller, 0.1))
    assert ur_controller.faults.state()["runtime"] == "STOPPED"
    assert 0.2 < ur_controller.faults.state()["fastest_rad_s"] < 0.4


def test_a_dropped_link_ends_the_client_and_stops_the_arm(ur_controller):
    """ur-rtde connects anew, repeats the target that was on its way, and may crash its process."""
    process = client(ur_controller, MOVE_FOR_EVER, dots=100)
    ur_controller.faults.drop_rtde()
    wait_for_stop()
    moved = np.ptp(watch(ur_controller, 0.8), axis=0).max()
    assert moved < 0.3 * UrArmConfig().lookahead_s  # what was left to the target before the drop
    process.communicate(timeout=10.0)
    assert process.returncode != 0
    assert_still(watch(ur_controller, 0.1))


def test_closing_on_a_dead_link_does_not_wait_for_answers_that_never_come(ur_controller):
    """ur-rtde itself takes five seconds; with a stop command before that it never ends."""
    process = client(ur_controller, CLOSE_WHEN_TOLD, dots=1)
    ur_controller.faults.silence(8.0)
    time.sleep(0.02)
    try:
        process.communicate(timeout=7.5)
    finally:
        process.kill()
    assert process.returncode == 0
    assert ur_controller.faults.state()["runtime"] == "STOPPED"


def test_the_wrench_is_read_in_the_axes_of_base_link(ur_controller, arm):
    assert not np.asarray(arm.read().wrench).any()
    ur_controller.faults.push(12.0, -3.0, 4.0, 0.5, -0.6, 0.7)
    Stream(arm).run(0.05)
    np.testing.assert_allclose(arm.read().wrench, [12.0, -3.0, 4.0, 0.5, -0.6, 0.7])
    with pytest.raises(DeviceError, match="expected six finite numbers"):
        ur_controller.faults.push(float("nan"), 0.0, 0.0)


ASIDE_N = (0.0, 15.0, 0.0)


def guide(arm: UrArm, duration_s: float) -> np.ndarray:
    """Let a hand guide the arm for a while; return its joints, of shape (N, 6)."""
    joints, due_s = [], time.monotonic()
    for _ in range(round(duration_s / PERIOD_S)):
        arm.keep_guiding()
        joints.append(arm.read().joints)
        due_s += PERIOD_S
        time.sleep(max(0.0, due_s - time.monotonic()))
    return np.array(joints)


def settle(arm: UrArm) -> None:
    """Wait until the arm stands, by the robot's own clock."""
    begin_s = arm.read().robot_time_s
    while arm.read().robot_time_s < begin_s + 0.05 or arm.read().velocities.any():
        guide(arm, PERIOD_S)


def push_away(ur_controller, arm: UrArm) -> None:
    """Push the arm with a hand until it has moved a little."""
    start = arm.read().joints
    ur_controller.faults.push(*ASIDE_N)
    while np.abs(arm.read().joints - start).max() < 0.01:
        guide(arm, PERIOD_S)


def await_held(ur_controller) -> None:
    """Wait until the arm no longer yields to a hand, and has come to rest."""
    deadline_s = time.monotonic() + 5.0
    while ur_controller.faults.state()["guided"] or any(ur_controller.faults.state()["velocities"]):
        assert time.monotonic() < deadline_s
        time.sleep(PERIOD_S)


UPRIGHT = {"guided_axes": ("x", "y", "z")}


@pytest.fixture(params=[{}, UPRIGHT], ids=["all axes", "x, y, z"])
def guided_arm(ur_controller, request) -> Iterator[UrArm]:
    connected = UrArm(dataclasses.replace(config(ur_controller), **request.param))
    connected.connect()
    yield connected
    connected.close()


def test_a_hand_moves_the_arm_in_freedrive_and_the_servo_goes_on_where_it_stands(
    ur_controller, guided_arm
):
    arm = guided_arm
    Stream(arm).run(0.05)
    arm.start_guiding()
    assert ur_controller.faults.state()["guided"]
    assert_still(guide(arm, 0.2))  # nobody pushes
    push_away(ur_controller, arm)
    ur_controller.faults.push(0.0, 0.0, 0.0)
    arm.end_guiding()
    settle(arm)
    assert not ur_controller.faults.state()["guided"]
    after = Stream(arm).run(0.3)
    assert_still(after.joints)  # no jump
    moving = Stream(arm).run(0.3, amplitude_rad=0.05)
    assert np.abs(moving.joints - moving.joints[0]).max() > 0.01


def test_a_hand_that_still_pushes_at_the_end_moves_nothing_any_more(ur_controller, guided_arm):
    arm = guided_arm
    arm.start_guiding()
    push_away(ur_controller, arm)
    arm.end_guiding()
    settle(arm)
    assert_still(Stream(arm).run(0.3).joints)


def test_silence_ends_freedrive_and_only_a_recovery_leads_on(ur_controller, guided_arm):
    arm = guided_arm
    arm.start_guiding()
    push_away(ur_controller, arm)
    time.sleep(WATCHDOG_S)  # as if this process hung
    await_held(ur_controller)
    assert_still(watch(ur_controller, 0.2))
    with pytest.raises(DeviceError, match="ended freedrive"):
        guide(arm, 0.05)
    with pytest.raises(DeviceError, match="did not confirm the end"):
        arm.end_guiding()
    arm.recover()
    assert not ur_controller.faults.state()["guided"]
    assert_still(Stream(arm).run(0.2).joints)


def test_a_protective_stop_ends_freedrive(ur_controller, guided_arm):
    arm = guided_arm
    arm.start_guiding()
    push_away(ur_controller, arm)
    ur_controller.faults.protective_stop()
    wait_for_stop_of_program(arm)
    with pytest.raises(DeviceError):
        arm.end_guiding()
    await_held(ur_controller)
    assert_still(watch(ur_controller, 0.2))
    wait_for_unlock(ur_controller)
    arm.recover()
    assert not ur_controller.faults.state()["guided"]
    assert_still(Stream(arm).run(0.2).joints)


def test_a_recovery_never_leaves_the_arm_free(ur_controller, guided_arm):
    arm = guided_arm
    arm.start_guiding()
    push_away(ur_controller, arm)
    arm.recover()  # its program runs, and would go on being in freedrive
    assert not ur_controller.faults.state()["guided"]
    assert_still(Stream(arm).run(0.2).joints)


def test_ending_what_never_began_does_nothing(arm):
    arm.end_guiding()
    assert_still(Stream(arm).run(0.05).joints)


def test_an_arm_that_is_closed_while_guided_stands(ur_controller):
    arm = UrArm(config(ur_controller))
    arm.connect()
    arm.start_guiding()
    push_away(ur_controller, arm)
    arm.close()
    await_held(ur_controller)
    assert_still(watch(ur_controller, 0.2))


HELD_M, HELD_RAD = 2e-4, 2e-4
TILTED = np.array([-0.3, -1.7, 1.7, -1.3, -1.2, -1.5])
KINEMATICS = UrKinematics(UR5E)


@contextmanager
def freed_along(ur_controller, axes: tuple[UrAxis, ...], frame: Any) -> Iterator[UrArm]:
    """Return an arm that was freed with its tool tilted."""
    arm = UrArm(dataclasses.replace(config(ur_controller), guided_axes=axes, guided_frame=frame))
    arm.connect()
    try:
        start = arm.read().joints
        for share in np.linspace(0.0, 1.0, 400):
            arm.servo(start + share * (TILTED - start))
            time.sleep(PERIOD_S)
        Stream(arm).run(0.2)
        arm.start_guiding()
        yield arm
    finally:
        arm.close()


def tool_of(ur_controller) -> tuple[Array, Array]:
    """Return where the controller itself sees the tool in UR's base, and the tool's axes."""
    pose = KINEMATICS.forward(np.array(ur_controller.faults.state()["joints"]))
    return pose[:3], matrix_from_quaternion(quaternion_from_rotvec(pose[3:]))


def guide_under(ur_controller, arm: UrArm, force_n: Array, torque_nm: Array) -> None:
    """Let a hand push for a while, by a wrench in UR's base, and let it go."""
    assert_still(guide(arm, 0.1))  # nobody pushes yet
    ur_controller.faults.push(*(force_n * [-1, -1, 1]), *(torque_nm * [-1, -1, 1]))
    guide(arm, 0.5)
    arm.end_guiding()
    settle(arm)


@pytest.mark.parametrize("frame", ["base", "tool"])
@pytest.mark.parametrize("axes", [("z",), ("x", "y")])
def test_a_hand_moves_the_tool_along_the_free_axes_and_along_no_other(ur_controller, frame, axes):
    with freed_along(ur_controller, axes, frame) as arm:
        before, rotation = tool_of(ur_controller)
        assert (np.abs(np.diag(rotation)) < 0.98).all()  # or tool and base had an axis in common
        in_frame = rotation.T if frame == "tool" else np.eye(3)
        force_n = in_frame.T @ np.array([8.0, 8.0, 8.0])
        guide_under(ur_controller, arm, force_n, np.array([0.3, -0.3, 0.3]))
        after, turned = tool_of(ur_controller)
    moved = in_frame @ (after - before)
    free = np.isin(["x", "y", "z"], axes)
    assert (moved[free] > 0.002).all(), moved
    assert (np.abs(moved[~free]) < HELD_M).all(), moved
    np.testing.assert_allclose(turned, rotation, atol=HELD_RAD)


def test_a_hand_turns_the_tool_about_its_free_axis_only_and_it_stays_in_its_place(ur_controller):
    with freed_along(ur_controller, ("rz",), "tool") as arm:
        before, rotation = tool_of(ur_controller)
        guide_under(ur_controller, arm, np.full(3, 8.0), 2.0 * rotation[:, 2])
        after, turned = tool_of(ur_controller)
    np.testing.assert_allclose(after, before, atol=HELD_M)
    np.testing.assert_allclose(turned[:, 2], rotation[:, 2], atol=HELD_RAD)
    assert (turned[:, 0] - rotation[:, 0]) @ rotation[:, 1] > 0.005
