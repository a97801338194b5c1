"""Tests for clients/first_motion_node.py: every step of a first motion, on the emulated UR5e."""

import math
import sys
import threading
import time

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Bool

from carp_ros.clients.first_motion_node import first_motion_node
from carp_ros.commissioning.step import Cell
from carp_ros.commissioning.walk import STEPS, walk
from carp_ros.control.kinematics import Kinematics
from carp_ros.reports.first_motion import Outcome, StepName
from carp_ros.rig import load_rig
from carp_ros.ros.qos import COMMAND
from carp_ros.sim.faults import FaultClient
from carp_ros.system.bringup import READY_WITHIN_S, describe
from carp_ros.system.running_system import RunningSystem
from carp_ros.types import SafetyState

from ..patience import LATE_FAULTS, LATE_REASONS, on_a_busy_machine

pytestmark = pytest.mark.realtime

_HAND_S = 2.0


def show(*words: str) -> None:
    sys.stdout.write(": ".join(words) + "\n")


class Hands:
    """A person who agrees to everything, and whose hands are on mouse and emergency stop."""

    def __init__(self, node, rig):
        self._node, self._rig = node, rig
        self._twists = node.create_publisher(TwistStamped, "teleop/twist", COMMAND)
        self._deadman = node.create_publisher(Bool, "teleop/deadman", COMMAND)
        self._pressed_at_s = math.inf
        self._until_s = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def tell(self, text):
        show(text)
        if "Press Enter" in text:
            self._pressed_at_s = time.monotonic() + 3.0
        if "dead-man" in text:
            self._until_s = time.monotonic() + 2.0 * _HAND_S
        if "emergency stop (" in text:
            threading.Timer(2.0, self._hit_the_stop).start()

    def confirm(self, question):
        return True

    def has_pressed_enter(self):
        return time.monotonic() > self._pressed_at_s

    def leave(self):
        self._stopped.set()
        self._thread.join()

    def _hit_the_stop(self):
        client = FaultClient(self._rig.arm.host, self._rig.cell.fault_port)
        client.emergency_stop()
        client.close()

    def _beat(self):
        """Send what teleop_node would: a heartbeat, and a twist while the button is held."""
        while not self._stopped.wait(0.02):
            left_s = self._until_s - time.monotonic()
            held = 0.0 < left_s < _HAND_S
            self._deadman.publish(Bool(data=held))
            twist = TwistStamped()
            twist.header.stamp = self._node.get_clock().now().to_msg()
            twist.header.frame_id = self._rig.robot.base_frame
            twist.twist.linear.z = -0.05 if held else 0.0
            self._twists.publish(twist)


def walked(cell, step):
    reports = []
    walk(cell, reports.append, [step])
    return reports


def unless_late(action, node, attempts=4):
    """Do a step; anew if this machine was late, which is a fault as it should be."""
    while True:
        (report,) = action()
        attempts -= 1
        late = report.fault in LATE_FAULTS or report.reason in LATE_REASONS
        if not late or not attempts:
            return [report]
        on_a_busy_machine(node.prepare, attempts=8)


def test_the_emulated_arm_passes_every_step_and_ends_stopped(rig_path):
    content = yaml.safe_load(rig_path.read_text())
    content["home_joints_rad"][-1] = -2.0 * math.pi + 0.4  # a short way to the stop
    content["cameras"] = {}
    # the machine may be busy
    content["servo"]["heartbeat_timeout_s"] = 1.0
    content["arm"] |= {"state_timeout_s": 0.5, "watchdog_hz": 10.0}
    rig_path.write_text(yaml.safe_dump(content))
    rig = load_rig(rig_path)
    nodes = tuple(node for node in describe(rig) if node.name != "teleop_node")
    reports = []
    with RunningSystem(nodes, show) as system:
        system.wait_until_ready(READY_WITHIN_S)
        with first_motion_node(rig) as node:
            on_a_busy_machine(node.prepare, attempts=8)  # the arm may begin with a fault
            hands = Hands(node, rig)
            try:
                kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
                cell = Cell(rig, node, hands, kinematics)
                for step in STEPS:
                    reports += unless_late(lambda step=step: walked(cell, step), node)
            finally:
                hands.leave()
            assert not node.enabled
    assert [(r.step, r.outcome, r.text) for r in reports] == [
        (name, Outcome.PASSED, "") for name in StepName
    ]


def diagnostics(**values):
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[DiagnosticStatus(name="control: arm", values=pairs)])


def test_only_what_control_node_knows_of_the_arm_is_read(rig_path):
    with first_motion_node(load_rig(rig_path)) as node:
        node._on_diagnostics(diagnostics(fault="NONE"))  # it knows no state yet
        assert node._safety is None
        node._on_diagnostics(diagnostics(safety="REDUCED", speed_scaling="0.50"))
        with pytest.raises(KeyError):
            node._on_diagnostics(diagnostics(safety="fine", speed_scaling="1"))
        assert node._safety == (SafetyState.REDUCED, 0.5)
