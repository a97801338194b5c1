"""The real ur-rtde against the emulated controller, which is another process."""

import dataclasses
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
from carp_ros.hardware.ur import LONGEST_RECOVERY_S, UrArm
from carp_ros.rig_devices import UrArmConfig
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
from carp_ros.rig_devices import UrArmConfig
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
from carp_ros.rig_devices import UrArmConfig
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
