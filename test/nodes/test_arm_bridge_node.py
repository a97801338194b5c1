"""The servo process, through `arm_bridge_node`, on a stand-in for a vendor's ros2_control driver.

Whatever goes wrong must be a fault with a code, after which the arm stands until it is reset and
enabled, and no command may ever be far from where the arm is.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

from carp_ros.hardware.ros2_control_link import MOST_LEAD_RAD
from carp_ros.processes.restarts import EXIT_REFUSED
from carp_ros.reports.control import Fault

from ..patience import await_true
from .vendor_system import PATIENCE_S, VendorSystem, write_rig

pytestmark = pytest.mark.realtime

FAULT_PORT = 30900 + os.getpid() % 90


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[VendorSystem]:
    system = VendorSystem(write_rig(tmp_path_factory.mktemp("rig")), FAULT_PORT)
    yield system
    system.stop()


@pytest.fixture
def system(running) -> Iterator[VendorSystem]:
    yield running
    assert running.faults.request("state")["largest_lead_rad"] <= MOST_LEAD_RAD


def test_nothing_is_commanded_before_an_enable_and_then_the_arm_moves_smoothly(system):
    aside = system.put_aside()
    time.sleep(0.5)
    np.testing.assert_allclose(system.joints(), aside, atol=1e-6)
    system.enable()
    system.await_home()
    told = system.faults.request("state")
    assert told["commands"] > 20
    assert told["largest_step_rad"] < 0.1
    assert system.state.fault is Fault.NONE


def test_an_arm_that_was_moved_by_hand_is_commanded_from_where_it_stands(system):
    """A vendor's controller may hold an old command; the first new one must not be it."""
    system.put_aside()
    system.enable()
    system.await_home()
    aside = system.put_aside(-0.4)
    system.enable()
    system.await_motion(aside)
    system.await_home()


def test_an_arm_that_is_suddenly_elsewhere_is_not_driven_back(system):
    """As after a crash of the driver that nobody noticed."""
    system.put_aside(0.0)
    elsewhere = system.joints() - 0.6
    system.faults.request("place", joints=elsewhere.tolist())
    system.await_fault(Fault.NOT_READY, Fault.TRACKING, Fault.REFUSED)
    time.sleep(0.3)
    np.testing.assert_allclose(system.joints(), elsewhere, atol=1e-6)


@pytest.mark.parametrize(
    ("operation", "arguments", "faults", "said"),
    [
        ("activate", {"active": False}, {Fault.NOT_READY, Fault.TRACKING}, ""),
        ("run_program", {"runs": False}, {Fault.NOT_READY}, "robot_program_running"),
        ("spoil", {"blocked": True}, {Fault.NOT_READY, Fault.TRACKING}, "shoulder_pan_joint"),
        ("spoil", {"drift_rad_s": 0.5}, {Fault.NOT_READY, Fault.TRACKING}, ""),
        ("spoil", {"silent_cycles": 10**9}, {Fault.ROBOT_SILENT}, "no new robot state"),
        ("spoil", {"repeats": True}, {Fault.ROBOT_SILENT}, "no new robot state"),
        ("spoil", {"missing": "wrist_3_joint"}, {Fault.ROBOT_SILENT}, "no new robot state"),
        ("spoil", {"nan": "elbow_joint"}, {Fault.ROBOT_SILENT}, "no new robot state"),
    ],
)
def test_a_failure_in_motion_is_a_fault_and_the_arm_waits(
    system, operation, arguments, faults, said
):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)

    system.faults.request(operation, **arguments)

    state = system.await_fault(*faults)
    if state.fault is Fault.NOT_READY:
        assert said in state.fault_text
    time.sleep(0.3)
    system.faults.request("restore")
    system.assert_stays_until_reset_and_enable()


def test_a_reset_is_refused_while_the_cause_remains_and_names_it(system):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)
    system.faults.request("spoil", missing="wrist_3_joint")
    system.await_fault(Fault.ROBOT_SILENT)
    state = system.reset()
    assert state.fault is Fault.ROBOT_SILENT
    assert "joint state lacks wrist_3_joint" in state.fault_text
    system.faults.request("restore")
    system.assert_stays_until_reset_and_enable()


def test_another_order_of_joints_and_no_velocities_change_nothing(system):
    start = system.put_aside()
    system.faults.request(
        "state_order", names=["finger", *reversed(system.names)][1:], velocities=False
    )
    system.enable()
    system.await_motion(start)
    system.await_home()
    assert system.state.fault is Fault.NONE


def test_the_speed_slider_slows_the_motion(system):
    system.put_aside()
    system.faults.request("scale", fraction=0.3)
    await_true(lambda: system.state.speed_scaling == 0.3, PATIENCE_S, "the scaling is told")
    system.faults.request("restore")
    await_true(lambda: system.state.speed_scaling == 1.0, PATIENCE_S, "the scaling is told")


def test_a_driver_that_dies_and_comes_back_elsewhere_is_not_taken_by_surprise(system):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)
    system.driver.kill()
    system.driver.wait()
    system.await_fault(Fault.ROBOT_SILENT)
    assert "look at the vendor's driver" in system.reset().fault_text
    system.start_driver()  # its arm stands at home, not where the old one's did
    system.assert_stays_until_reset_and_enable()


def test_a_bridge_that_dies_leaves_the_arm_at_its_last_target_and_is_found_again(system):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)
    system.bridge.kill()
    system.bridge.wait()
    time.sleep(0.2)
    system.assert_still()
    system.await_fault(Fault.ROBOT_SILENT)
    system.start_bridge()
    system.assert_stays_until_reset_and_enable()


def test_a_servo_that_dies_leaves_the_arm_at_its_last_target(system):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)
    os.kill(system.servo.pid, signal.SIGKILL)
    system.servo.wait()
    time.sleep(0.2)
    system.assert_still()
    system.start_servo()
    system.assert_still()
    system.reset_until_clear()
    system.enable()
    system.await_home()


def test_a_bridge_that_is_interrupted_stays_until_the_servo_has_stopped_the_arm(system):
    start = system.put_aside(0.5)
    system.enable()
    system.await_motion(start)
    system.bridge.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert system.bridge.poll() is None
    assert system.state.fault is Fault.NONE
    os.kill(system.servo.pid, signal.SIGKILL)  # no more targets: as good as an arm at rest
    system.servo.wait()
    assert system.bridge.wait(5.0) == 0
    system.start_bridge()
    system.start_servo()


def test_a_trajectory_controller_with_its_joints_in_another_order_moves_the_right_ones(
    tmp_path, running
):
    running.stop()  # one system at a time
    rig = write_rig(tmp_path, "fr3_ros2_control", joint_prefix="left_")
    order = " ".join(f"left_fr3_joint{number}" for number in (7, 6, 5, 4, 3, 2, 1))
    system = VendorSystem(rig, FAULT_PORT + 1, order)
    try:
        system.put_aside()
        system.enable()
        system.await_home()
        assert system.state.fault is Fault.NONE
        assert system.faults.request("state")["largest_lead_rad"] <= MOST_LEAD_RAD
    finally:
        system.stop()


def test_a_forward_controller_with_its_joints_in_another_order_moves_the_right_ones(tmp_path):
    names = ("wrist_3", "wrist_1", "elbow", "shoulder_pan", "shoulder_lift", "wrist_2")
    order = " ".join(f"{name}_joint" for name in names)
    system = VendorSystem(write_rig(tmp_path), FAULT_PORT + 2, order)
    try:
        system.put_aside()
        system.enable()
        system.await_home()
        assert system.state.fault is Fault.NONE
        assert system.faults.request("state")["largest_lead_rad"] <= MOST_LEAD_RAD
    finally:
        system.stop()


def test_a_topic_that_this_system_publishes_itself_is_refused(tmp_path):
    rig = write_rig(tmp_path)
    command = [sys.executable, "-m", "carp_ros.nodes.arm_bridge_node", "--ros-args"]
    command += ["-p", f"rig:={rig}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert done.returncode == EXIT_REFUSED
    assert "carp up --namespace" in done.stderr
