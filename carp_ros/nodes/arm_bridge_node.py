"""ROS node: passes targets on to a vendor's ros2_control driver, and its joint states back.

The servo process must not share its process with ROS, which would make its ticks late; the two are
connected by shared memory (`hardware/ros2_control_link.py`). Each joint state makes this node pass
the newest target on, so that the vendor's driver sets the pace, and that no target is sent while
nobody sees what the arm does. Names are the rig file's (`arm`), and absolute.

Subscribes:
    <joint_states_topic> (JointState): from the driver's joint state broadcaster.
    <program_running_topic> (Bool), <speed_scaling_topic> (Float64, in percent): if named.
    /diagnostics (DiagnosticArray): whether the controller is active, by the controller manager.
Publishes:
    <controller>/commands (Float64MultiArray): for `forward_position`, in the controller's order.
    <controller>/joint_trajectory (JointTrajectory): for `joint_trajectory`, of one point.
    /diagnostics (DiagnosticArray): what hinders it, rates and delays; 1 Hz.
Calls:
    <controller>/get_parameters (GetParameters): the joints that it moves, and their order; 1 Hz.
Parameters:
    rig.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64

from carp_ros.control.realtime import prefer_path_of_commands
from carp_ros.errors import CarpError, MessageError, UsageError
from carp_ros.hardware.joint_reader import JointReader
from carp_ros.hardware.ros2_control_link import (
    MOST_LEAD_RAD,
    ArmLink,
    BridgeState,
    Trouble,
    arm_link_name,
    target_from_record,
)
from carp_ros.hardware.vendor_watch import (
    FORWARD_PARAMETERS,
    TRAJECTORY_PARAMETERS,
    VendorWatch,
    share_of_percent,
)
from carp_ros.nodes.vendor_commands import VendorCommands
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.ros.diagnostics import ERROR, OK, DiagnosticsPublisher, status
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.params import rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import LATCHED, SENSOR
from carp_ros.ros.small_messages import subscribe_small

_LOOK_S = 0.05
_RATE_S = 0.5
_OLDEST_TARGET_NS = 100_000_000  # an older one is not of a servo that runs
_QUIET_NS = 200_000_000  # no target for so long: the servo has brought the arm to rest
_LEAVE_NS = 4_000_000_000  # it takes up to 3 s for that
# In place of a state that was not read in time there is a newer one.
_NEWEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)


class ArmBridgeNode(GuardedNode):
    """Connects the servo process to one vendor's driver."""

    def __init__(self) -> None:
        prefer_path_of_commands()  # before ROS starts the threads that receive
        super().__init__("arm_bridge_node")
        rig = rig_parameter(self)
        if not isinstance(rig.arm, Ros2ControlArmConfig):
            raise ValueError(
                f"arm.driver is {rig.arm.driver}; this node is only for arms of ros2_control"
            )
        self._config = config = rig.arm
        self._require_other_topic(config.joint_states_topic)
        self._names = names = tuple(config.joint_prefix + n for n in rig.robot.joint_names)
        self._reader = JointReader(names)
        self._watch = VendorWatch(config, names, time.monotonic_ns())
        none = np.zeros(len(names))
        self._state = BridgeState(0.0, 0, none, none, 1.0, Trouble.STARTING, "")
        self._passed_on, self._held_back, self._oldest_ns = 0, 0, 0
        self._leave_ns: int | None = None
        self._link = ArmLink(arm_link_name(), create=True)
        self._targets_seen, self._target_ns = self._link.target.count, 0
        self._commands = VendorCommands(self, config)
        self._questions: list[Future] = []
        self._asks = self.create_client(GetParameters, f"{config.controller}/get_parameters")
        self._diagnostics = DiagnosticsPublisher(self)
        self._subscribe()
        self._look()
        self.create_timer(_LOOK_S, self._look)
        self.create_timer(_RATE_S, self._watch.measure_rate)
        self.create_timer(1.0, self._on_second)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def destroy_node(self) -> None:
        """Remove the link; the vendor's controller holds the last target."""
        self._link.unlink()
        super().destroy_node()

    def _subscribe(self) -> None:
        c = self._config
        subscribe_small(
            self, JointState, c.joint_states_topic, self._on_joints, _NEWEST, self._refuse_joints
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        if c.program_running_topic:
            self.create_subscription(Bool, c.program_running_topic, self._on_program, LATCHED)
        if c.speed_scaling_topic:
            self.create_subscription(Float64, c.speed_scaling_topic, self._on_scaling, SENSOR)

    def _require_other_topic(self, theirs: str) -> None:
        """Refuse a topic on which this system itself publishes.

        Raises:
            UsageError: If it does: it would take what it said itself for the robot's word.
        """
        if self.resolve_topic_name("joint_states") == theirs:
            raise UsageError(
                f"arm.joint_states_topic is {theirs}, where this system publishes, too; start it"
                " in a namespace: carp up --namespace carp, or namespace:=carp"
            )

    def _on_joints(self, msg: JointState) -> None:
        now_ns = time.monotonic_ns()
        stamp_s = msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9
        try:
            read = self._reader.read(list(msg.name), msg.position, msg.velocity, stamp_s)
        except MessageError as error:
            self._refuse_joints(error)
            return
        if read is None:  # of a gripper, for example
            self._watch.others = list(msg.name)
            return
        joints, velocities = read
        self._watch.take_state(now_ns)
        self._write(robot_time_s=stamp_s, received_ns=now_ns, joints=joints, velocities=velocities)
        self._pass_on(now_ns)

    def _refuse_joints(self, error: CarpError) -> None:
        self._watch.refusal = str(error)
        self.callback_guard.refuse(f"topic {self._config.joint_states_topic}", error)

    def _pass_on(self, now_ns: int) -> None:
        """Send the newest target to the controller, if there is a new one and it would follow."""
        count = self._link.target.count
        if count == self._targets_seen:
            return
        self._targets_seen = count
        record = self._link.target.read()
        if record is None:
            return
        joints, sent_ns = target_from_record(record)
        self._target_ns = sent_ns
        order = self._watch.order
        age_ns = now_ns - sent_ns
        if self._state.trouble is not Trouble.NONE or order is None or age_ns > _OLDEST_TARGET_NS:
            return
        if np.abs(joints - self._state.joints).max() > MOST_LEAD_RAD:
            self._held_back += 1  # the arm was moved; the servo does not know it yet
            return
        self._oldest_ns = max(self._oldest_ns, age_ns)
        self._passed_on += 1
        self._commands.send([self._names[i] for i in order], [joints[i] for i in order])

    def _look(self) -> None:
        """Judge the vendor's driver afresh, and tell the servo."""
        now_ns = time.monotonic_ns()
        self._watch.listeners = self._commands.listeners
        self._watch.publishers = self._commands.publishers
        trouble, text = self._watch.finding(now_ns)
        last = self._state
        if (trouble, text) != (last.trouble, last.text) or not self._link.state.count:
            if trouble is not last.trouble:
                self.get_logger().info(text or "the vendor's controller takes targets")
            self._write(trouble=trouble, text=text)
        self._leave_if_done(now_ns)

    def _write(self, **news: Any) -> None:
        """Tell the servo what has changed."""
        self._state = dataclasses.replace(self._state, **news)
        self._link.state.write(self._state.to_record())

    def _on_second(self) -> None:
        self._ask_controller()
        state = self._state
        values = {
            "joint states [Hz]": round(self._watch.rate_hz or 0.0),
            "targets passed on": self._passed_on,
            "targets held back": self._held_back,
            "oldest target passed on [ms]": round(self._oldest_ns * 1e-6, 1),
            "controller": self._watch.activity or "state not told",
            "trouble": state.trouble.name,
        }
        self._oldest_ns = 0
        level = OK if state.trouble is Trouble.NONE else ERROR
        self._diagnostics.publish([status("arm bridge: driver", level, state.text, values)])

    def _ask_controller(self) -> None:
        """Ask the controller for its joints; it may have been loaded anew meanwhile."""
        for question in self._questions:
            self._asks.remove_pending_request(question)
        self._questions = []
        if not self._asks.service_is_ready():
            return
        forward = self._config.interface == "forward_position"
        told: dict[str, Any] = {}
        names = FORWARD_PARAMETERS if forward else TRAJECTORY_PARAMETERS
        left = set(names)

        def take(name: str) -> Callable[[Future], None]:
            def on_answer(future: Future) -> None:
                answer = None if future.exception() else future.result()
                if answer is None:
                    return
                left.discard(name)
                if answer.values and (value := _value(answer.values[0])) is not None:
                    told[name] = value
                if not left:
                    self._watch.take_parameters(told, time.monotonic_ns())

            return on_answer

        for name in names:  # one a request: a controller that lacks one answers with none
            question = self._asks.call_async(GetParameters.Request(names=[name]))
            question.add_done_callback(take(name))
            self._questions.append(question)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        namespace, _, name = self._config.controller.rpartition("/")
        if namespace:
            return  # a controller manager's statuses do not tell its namespace
        for one in msg.status:
            if one.name.endswith("Controllers Activity"):
                for pair in one.values:
                    if pair.key == f"{name}.state":
                        self._watch.activity = pair.value

    def _on_program(self, msg: Bool) -> None:
        self._watch.runs_program = msg.data
        self._look()

    def _on_scaling(self, msg: Float64) -> None:
        self._write(speed_scaling=share_of_percent(msg.data))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._leave_ns is None:
            self._leave_ns = time.monotonic_ns() + _LEAVE_NS

    def _leave_if_done(self, now_ns: int) -> None:
        """End this process if it was told to, once the servo has brought the arm to rest.

        A launcher interrupts all processes at once.
        """
        if self._leave_ns is None:
            return
        newest = self._link.target.read()
        if newest is not None:
            self._target_ns = int(newest["sent_ns"])
        if now_ns - self._target_ns > _QUIET_NS or now_ns > self._leave_ns:
            self.context.try_shutdown()


def _value(value: ParameterValue) -> Any:
    """Return the parameter's value, of those kinds that a controller's have; None if not set."""
    match value.type:
        case ParameterType.PARAMETER_STRING:
            return value.string_value
        case ParameterType.PARAMETER_STRING_ARRAY:
            return list(value.string_array_value)
        case ParameterType.PARAMETER_BOOL:
            return value.bool_value
        case _:
            return None


def main() -> None:
    """Run the node until shutdown."""
    run_node(ArmBridgeNode)


if __name__ == "__main__":
    main()
