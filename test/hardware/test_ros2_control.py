"""The driver beside a stand-in of the node at the other end of its shared memory.

With the node itself, and a controller, it is tried in `test/nodes/test_arm_bridge_node.py`.
"""

import dataclasses
import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware import ros2_control
from carp_ros.hardware.ros2_control import LONGEST_RECOVERY_S, Ros2ControlArm
from carp_ros.hardware.ros2_control_link import (
    ARM_LINK,
    ArmLink,
    BridgeState,
    Trouble,
    arm_link_name,
    target_from_record,
    target_to_record,
)
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.robots import UR5E
from carp_ros.types import SafetyState

CONFIG = Ros2ControlArmConfig()
HOME = np.array([-0.3, -1.7, 1.7, -1.6, -1.6, -1.9])


class Node:
    """Writes what `arm_bridge_node` would write, 500 times a second."""

    def __init__(self, name: str) -> None:
        self.link = ArmLink(name, create=True)
        self.state = BridgeState(1.0, 1, HOME, np.zeros(6), 1.0, Trouble.NONE, "")
        self.silent = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def change(self, **news) -> None:
        """Change what it tells, and return once it was told."""
        self.state = dataclasses.replace(self.state, **news)
        time.sleep(0.05)

    def targets(self) -> int:
        return self.link.target.count

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self.link.unlink()

    def _run(self) -> None:
        while not self._ending.wait(0.002):
            if not self.silent:
                now_ns = time.monotonic_ns()
                self.state = dataclasses.replace(
                    self.state, received_ns=now_ns, robot_time_s=now_ns * 1e-9
                )
            self.link.state.write(self.state.to_record())


@pytest.fixture
def name() -> str:
    return f"test_{os.getpid()}_arm"


@pytest.fixture
def node(name) -> Iterator[Node]:
    node = Node(name)
    yield node
    node.stop()


@pytest.fixture
def arm(node, name) -> Ros2ControlArm:
    arm = Ros2ControlArm(CONFIG, UR5E, 500.0, name)
    arm.connect()
    return arm


def test_connecting_sends_nothing_and_reads_where_the_arm_stands(node, arm):
    state = arm.read()
    np.testing.assert_array_equal(state.joints, HOME)
    assert state.ready
    assert state.safety is SafetyState.NORMAL
    assert state.explanation == ""
    assert node.targets() == 0


def test_a_target_reaches_the_node(node, arm):
    arm.servo(HOME + 0.01)
    joints, sent_ns = target_from_record(node.link.target.read())
    np.testing.assert_array_equal(joints, HOME + 0.01)
    assert 0 <= time.monotonic_ns() - sent_ns < 1_000_000_000


def test_without_the_node_nothing_connects():
    with pytest.raises(DeviceError, match="arm_bridge_node is not running"):
        Ros2ControlArm(CONFIG, UR5E, 500.0, "test_no_such_link").connect()


def test_without_joint_states_nothing_connects_and_the_node_says_why(node, name):
    node.silent = True
    node.change(received_ns=0, trouble=Trouble.NO_STATES, text="no joint states on /joint_states")
    with pytest.raises(DeviceError, match="no joint states on /joint_states"):
        Ros2ControlArm(CONFIG, UR5E, 500.0, name).connect()


def test_an_arm_that_follows_no_targets_is_connected_and_says_why(node, name):
    node.change(trouble=Trouble.INACTIVE, text="it is inactive")
    arm = Ros2ControlArm(CONFIG, UR5E, 500.0, name)
    arm.connect()
    state = arm.read()
    assert not state.ready
    assert state.explanation == "it is inactive"
    with pytest.raises(DeviceError, match="accepted no joint target"):
        arm.servo(HOME)
    with pytest.raises(DeviceError, match="it is inactive"):
        arm.recover()
    assert node.targets() == 0


def test_trouble_that_passed_needs_a_reset(node, arm):
    node.change(trouble=Trouble.PROGRAM_STOPPED, text="its program does not run")
    assert not arm.read().ready
    node.change(trouble=Trouble.NONE, text="")
    state = arm.read()
    assert not state.ready
    assert state.explanation == "its program does not run"
    with pytest.raises(DeviceError, match="its program does not run"):
        arm.servo(HOME)
    arm.recover()
    assert arm.read().ready
    assert node.targets() == 0


def test_silence_is_left_to_the_guard_first_and_needs_a_reset(node, arm):
    node.silent = True
    time.sleep(1.2 * CONFIG.state_timeout_s)
    first = arm.read()
    time.sleep(CONFIG.state_timeout_s)
    state = arm.read()
    assert state.robot_time_s == first.robot_time_s
    assert not state.ready
    assert "no joint states" in state.explanation
    node.silent = False
    time.sleep(0.05)
    assert not arm.read().ready
    arm.recover()
    assert arm.read().ready


@pytest.mark.realtime
def test_an_arm_that_does_not_follow_needs_a_reset_and_goes_on_from_where_it_stands(node, arm):
    target = HOME.copy()
    deadline_s = time.monotonic() + 10.0
    while arm.read().ready:
        assert time.monotonic() < deadline_s
        target[2] = min(target[2] + 0.001, HOME[2] + 0.1)
        arm.servo(target)
        time.sleep(0.002)
    explanation = arm.read().explanation
    assert explanation.startswith("elbow_joint is")
    assert "/forward_position_controller active" in explanation
    sent = node.targets()
    with pytest.raises(DeviceError, match="elbow_joint"):
        arm.servo(target)
    assert node.targets() == sent
    node.change(joints=HOME + 0.5)
    arm.recover()
    assert arm.read().ready
    arm.servo(HOME + 0.5)


def test_an_arm_that_is_moved_by_another_program_while_it_holds_is_noticed(node, arm):
    for _ in range(20):
        arm.servo(HOME)
    node.change(joints=HOME + 0.05)
    assert not arm.read().ready


@pytest.mark.parametrize(
    "target", [HOME[:5], np.append(HOME, 0.0), HOME + np.nan, HOME + np.inf, HOME + 0.2]
)
def test_a_target_that_would_be_wrong_or_a_leap_is_refused(node, arm, target):
    with pytest.raises(DeviceError, match="joint target"):
        arm.servo(target)
    assert node.targets() == 0


def test_a_node_that_was_started_again_is_found_by_a_reset(node, arm, name):
    node.stop()
    time.sleep(2.0 * CONFIG.state_timeout_s)
    assert "arm_bridge_node is not running" in arm.read().explanation
    with pytest.raises(DeviceError, match="arm_bridge_node is not running"):
        arm.recover()
    again = Node(name)
    try:
        assert not arm.read().ready
        arm.recover()
        assert arm.read().ready
        arm.servo(HOME)
        assert again.targets() == 1
    finally:
        again.stop()


def test_closing_leaves_the_newest_target_with_the_controller(node, arm):
    arm.servo(HOME)
    arm.close()
    assert node.targets() == 1
    with pytest.raises(DeviceError, match="arm_bridge_node"):
        arm.read()


def test_a_recovery_takes_no_longer_than_the_rest_of_the_system_allows():
    assert Ros2ControlArmConfig.recovery_s >= LONGEST_RECOVERY_S > ros2_control._RECOVER_S


def test_systems_in_other_namespaces_and_domains_have_links_of_their_own(monkeypatch):
    names = set()
    for domain_id in ("1", "2"):
        for namespace in ("", "left", "right"):
            monkeypatch.setenv("ROS_DOMAIN_ID", domain_id)
            monkeypatch.setenv(ARM_LINK, namespace)
            names.add(arm_link_name())
    assert len(names) == 6


def test_states_and_targets_survive_their_way_through_shared_memory():
    state = BridgeState(3.5, 7, HOME, -HOME, 0.3, Trouble.RIVAL, "another program é")
    copy = BridgeState.from_record(state.to_record())
    np.testing.assert_array_equal(copy.joints, HOME)
    np.testing.assert_array_equal(copy.velocities, -HOME)
    rest = ("robot_time_s", "received_ns", "speed_scaling", "trouble", "text")
    assert [getattr(copy, n) for n in rest] == [getattr(state, n) for n in rest]
    joints, sent_ns = target_from_record(target_to_record(HOME, 12))
    np.testing.assert_array_equal(joints, HOME)
    assert sent_ns == 12
