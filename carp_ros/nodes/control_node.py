"""ROS node: decides which source may move the arm, and keeps the servo process that moves it.

Subscribes:
    teleop/twist (TwistStamped), teleop/deadman (Bool), teleop/gripper (Float64): the operator.
    chunk (MultiDOFJointTrajectory), gripper_chunk (JointTrajectory): the policy; both with the same
        stamp, in either order.
    <camera>/camera_info (CameraInfo): to check that the policy's images are recent.
Publishes:
    joint_states (JointState): measured; the gripper's joint last, with the velocity 0.
    tool_pose (PoseStamped): measured.
    target_pose (PoseStamped), gripper_command (Float64): commanded, 0 open to 1 closed. While the
        arm is guided by hand, target_pose is the measured pose, stamped 0.1 s earlier.
    wrench (WrenchStamped): measured, from outside on the tool: force [N] and torque [Nm] about the
        TCP, in its axes (frame `tcp`).
    gripper_state (Float64): measured, 0 open to 1 closed.
    markers (MarkerArray): the workspace box, latched, and each chunk while somebody looks.
    /tf_static (TFMessage): the calibrated cameras' frames, if ROS has tf2_msgs.
    control/status (String): JSON of `ControlStatus`; on every change.
    control/followed (String): JSON of `ChunkStart`, once per chunk.
    /diagnostics (DiagnosticArray): why the arm does not move; 1 Hz and on every change.
Services:
    control/select_teleop, control/select_policy, control/select_hand (Trigger): choose which source
        may move the arm; hand: a person who guides it, while the dead-man button is held.
    control/enable (SetBool): enable or stop motion. control/home (Trigger): go home now.
    control/reset_fault (Trigger): reset a fault whose cause is gone; then enable again. It may
        power the arm up and release its brakes, and answers once that succeeded or failed.
Parameters:
    rig, cameras (names, separated by spaces, of the cameras that the policy uses: it may not move
        the arm without a recent image of each; all: every camera of the rig; none).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.control.arbiter import Arbiter
from carp_ros.control.command import ServoLink, ServoState, chunk_to_record, link_name
from carp_ros.control.realtime import prefer_process
from carp_ros.control.ros_clock import ClockMapping
from carp_ros.errors import CarpError, DeviceError, MessageError
from carp_ros.nodes.chunk_intake import ChunkIntake
from carp_ros.nodes.control_diagnostics import arm_status, gripper_status, loop_status
from carp_ros.nodes.control_log import ControlLog
from carp_ros.nodes.control_publishers import ControlPublishers
from carp_ros.nodes.gripper_follower import GripperFollower
from carp_ros.processes.parent import HOLD
from carp_ros.recording.message_reader import require_command
from carp_ros.reports.control import ChunkStart, ControlStatus, Fault, Reason, Source, Why
from carp_ros.reports.json_report import report_to_json
from carp_ros.ros.deferred_trigger import DeferredTrigger
from carp_ros.ros.diagnostics import DiagnosticsPublisher
from carp_ros.ros.duplicate_publishers import DuplicatePublishers
from carp_ros.ros.managed_node import ManagedNode
from carp_ros.ros.messages import recent_stamp_ns, twist_from_msg
from carp_ros.ros.params import cameras_parameter, rig_parameter, show_limits
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND, LATCHED, SENSOR
from carp_ros.ros.small_messages import subscribe_small
from carp_ros.servo.devices import make_gripper
from carp_ros.servo.servo_keeper import SERVO_PROGRAM, ServoKeeper
from carp_ros.types import Chunk

_PERIOD_S = 0.01
_RESET_MARGIN_S = 5.0  # for the arm to come to rest, in addition to its recovery
_SOLE_PUBLISHERS = ("teleop/twist", "teleop/deadman", "teleop/gripper", "chunk", "gripper_chunk")


class ControlNode(ManagedNode):
    """Feeds messages and the clock to an `Arbiter` and its decisions to the servo process.

    Args:
        servo_program: Command line of the servo process.
    """

    def __init__(self, servo_program: tuple[str, ...] = SERVO_PROGRAM) -> None:
        prefer_process()  # before ROS starts the threads that receive
        super().__init__("control_node")
        self._rig = rig_parameter(self)
        show_limits(self, self._rig)
        self._servo_program = servo_program
        self._cameras = cameras_parameter(
            self,
            tuple(self._rig.cameras),
            "Cameras that the policy uses, separated by spaces; or all, or none.",
        )
        self._clock_mapping = ClockMapping()
        self._clock_jumps = 0
        self._rivals = DuplicatePublishers(self, _SOLE_PUBLISHERS)
        self._told_to_hold = False
        signal.signal(HOLD, self._on_hold)
        self._published_tick = 0
        # stamp of the newest chunk, in steady and in ROS time, until the servo follows it
        self._chunk_stamps_ns: tuple[int, int] | None = None
        self._last_status = ""
        self._make_services()

    def configure(self) -> None:
        """Start the servo process and subscribe; nothing moves before activation and enable."""
        rig = self._rig
        self._published_tick = 0
        self._chunk_stamps_ns, self._last_status = None, ""
        self._arbiter = Arbiter(
            rig.limits,
            self._cameras,
            watch_take_over=rig.teleop.watch_during_policy,
            reset_s=rig.arm.recovery_s + _RESET_MARGIN_S,
        )
        log = self.get_logger()
        self._log = ControlLog(log.error, log.info)
        self._intake = ChunkIntake(
            rig.robot.base_frame, self._take_chunk, self._refuse_chunk, time.monotonic_ns
        )
        self._link = ServoLink(link_name(os.getpid()), create=True)
        self._keeper = ServoKeeper(rig, self._link, self._servo_program)
        self._gripper = GripperFollower(make_gripper(rig))
        self._diagnostics = DiagnosticsPublisher(self)
        self._make_publishers()
        self._make_subscriptions()
        self._gripper.start()
        self.create_timer(_PERIOD_S, self._on_tick)
        self.create_timer(1.0, self._on_second)

    def activate(self) -> None:
        """Allow enabling.

        Raises:
            DeviceError: If the servo does not tick yet.
        """
        if self._keeper.state is None:
            raise DeviceError("the arm is not connected yet")  # the log says what is missing

    def deactivate(self) -> None:
        """Stop the arm and refuse enabling."""
        self._arbiter.disable(Why(Reason.NOT_ACTIVE, "control is deactivated"))
        self._send()
        self._publish_status(self._keeper.state)

    def cleanup(self) -> None:
        """Tell the servo process to stop the arm and exit, and wait until it has."""
        self._arbiter.disable(Why(Reason.NOT_ACTIVE, "control is cleaned up"))
        record = self._arbiter.decide(time.monotonic_ns()).to_record()
        record["exit"] = True
        self._link.command.write(record)
        self._keeper.stop(timeout_s=3.0)
        self._gripper.stop()
        self._link.unlink()

    def _make_publishers(self) -> None:
        self._outputs = ControlPublishers(self, self._rig)
        self._status = self.create_publisher(String, "control/status", LATCHED)
        self._followed = self.create_publisher(String, "control/followed", SENSOR)

    def _make_subscriptions(self) -> None:
        def subscribe(
            kind: Any, topic: str, take: Callable[[Any], None], qos: QoSProfile = COMMAND
        ) -> None:
            subscribe_small(self, kind, topic, take, qos, lambda error: self._refuse(topic, error))

        subscribe(TwistStamped, "teleop/twist", self._on_twist)
        subscribe(Bool, "teleop/deadman", self._on_deadman)
        subscribe(Float64, "teleop/gripper", self._on_gripper)
        for kind, topic, take in (
            (JointTrajectory, "gripper_chunk", self._intake.take_gripper),
            (MultiDOFJointTrajectory, "chunk", self._intake.take_poses),
        ):
            subscribe_small(self, kind, topic, take, COMMAND, self._refuse_chunk)
        for name in self._cameras:
            subscribe(CameraInfo, f"{name}/camera_info", self._camera_callback(name), SENSOR)

    def _make_services(self) -> None:
        self.offer(SetBool, "control/enable", self._on_enable)
        for name, callback in (
            ("select_teleop", lambda: self._select(Source.TELEOP)),
            ("select_policy", lambda: self._select(Source.POLICY)),
            ("select_hand", lambda: self._select(Source.HAND)),
            ("home", self._go_home),
        ):
            self.offer(Trigger, f"control/{name}", _trigger(callback))
        self._reset_answers = DeferredTrigger(self, "control/reset_fault", self._reset_fault)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            hindrance = self._enable()
            response.message, response.success = str(hindrance or ""), hindrance is None
        else:
            self._arbiter.disable(Why(Reason.STOPPED, "stopped by an operator: enable to go on"))
            response.success = True
        self._send()
        return response

    def _enable(self) -> Why | None:
        """Let the selected source move the arm; return the reason if this is refused."""
        if not self.is_active:
            return Why(Reason.NOT_ACTIVE, "control is not active")
        if self._keeper.state is None:
            return Why(Reason.NO_SERVO, f"waiting for {self._keeper.waiting_for}")
        now_ns = time.monotonic_ns()
        if rivals := self._rivals.find(now_ns):
            return Why(Reason.SECOND_PUBLISHER, rivals)
        return self._arbiter.enable(now_ns)

    def _select(self, source: Source) -> str:
        self._arbiter.select(source)
        return ""

    def _go_home(self) -> str:
        self._arbiter.select(Source.HOME)
        return str(self._enable() or "")

    def _reset_fault(self) -> str:
        """Start a reset; return the reason if this is refused, else an empty text."""
        if not self.is_configured:
            text = "control_node is not configured: configure and activate it first"
            return str(Why(Reason.NOT_ACTIVE, text))
        if self._keeper.state is None:
            text = f"waiting for {self._keeper.waiting_for}: reset the fault once it is there"
            return str(Why(Reason.NO_SERVO, text))
        self._arbiter.reset(time.monotonic_ns())
        self._send()
        return ""

    def _on_twist(self, msg: TwistStamped) -> None:
        try:
            twist = twist_from_msg(msg, self._rig.robot.base_frame)
            stamp_ns = self._to_monotonic_ns(msg.header.stamp)
        except CarpError as error:
            self._refuse("teleop/twist", error)
            return
        self._arbiter.take_twist(twist, stamp_ns)
        self._send()

    def _on_deadman(self, msg: Bool) -> None:
        self._arbiter.take_deadman(msg.data, time.monotonic_ns())

    def _on_gripper(self, msg: Float64) -> None:
        try:
            closure = require_command(msg.data)
        except MessageError as error:
            self._refuse("teleop/gripper", error)
            return
        self._arbiter.take_gripper(closure)

    def _take_chunk(self, chunk: Chunk) -> None:
        by_ns = self._monotonic_minus_ros_ns()
        self._link.chunk.write(chunk_to_record(chunk, by_ns))
        self._chunk_stamps_ns = (chunk.stamp_ns + by_ns, chunk.stamp_ns)
        self._outputs.show(chunk)

    def _refuse_chunk(self, error: CarpError) -> None:
        self._refuse("chunk", error)
        self._arbiter.refuse_chunk(str(error))

    def _camera_callback(self, name: str) -> Callable[[CameraInfo], None]:
        def on_camera_info(msg: CameraInfo) -> None:
            try:
                self._arbiter.take_camera(name, self._to_monotonic_ns(msg.header.stamp))
            except CarpError as error:
                self._refuse(f"{name}/camera_info", error)

        return on_camera_info

    def _refuse(self, topic: str, error: CarpError) -> None:
        self._arbiter.last_refusal = self.callback_guard.refuse(f"topic {topic}", error)

    def _on_hold(self, number: int, frame: FrameType | None) -> None:
        self._told_to_hold = True  # handled by the next tick: a signal may interrupt anything

    def _on_tick(self) -> None:
        now_ns = time.monotonic_ns()
        if self._told_to_hold:
            self._told_to_hold = False
            self._rivals.take_death(now_ns)
            self._arbiter.disable(
                Why(Reason.PROCESS_DIED, "another process of the system died: enable to go on")
            )
        problem = self._keeper.watch(now_ns)
        if problem:
            self._arbiter.lose_servo(problem)
        self._send()
        self._intake.watch()
        state = self._keeper.state
        if state is not None:
            self._arbiter.take_state(state)
            self._gripper.want(state.gripper)
            if state.ticks != self._published_tick:
                self._published_tick = state.ticks
                # if the clock was set back the stamps go back, too: withholding them until they
                # increase again would only stall subscribers
                stamp_ns = state.now_ns - self._monotonic_minus_ros_ns()
                self._outputs.publish(state, self._gripper.state, stamp_ns)
            self._publish_followed(state)
        if jump := self._clock_mapping.take_jump():
            self._clock_jumps += 1
            self.get_logger().warning(jump)
        outcome = self._arbiter.reset_outcome(now_ns)
        if outcome is not None:
            self._reset_answers.answer(outcome, "no fault is latched: enable to move")
        arbiter = self._arbiter
        self._log.tell(arbiter.fault, arbiter.fault_text, self._keeper.waiting_for)
        self._publish_status(state)

    def _send(self) -> None:
        self._link.command.write(self._arbiter.decide(time.monotonic_ns()).to_record())

    def _publish_followed(self, state: ServoState) -> None:
        """Publish once per chunk when the arm began to follow it."""
        if self._chunk_stamps_ns is None or state.chunk_stamp_ns != self._chunk_stamps_ns[0]:
            return
        begun_ns = state.chunk_begun_ns - self._monotonic_minus_ros_ns()
        followed = ChunkStart(self._chunk_stamps_ns[1], begun_ns, state.chunk_late_ns)
        self._followed.publish(String(data=report_to_json(followed)))
        self._chunk_stamps_ns = None

    def _publish_status(self, state: ServoState | None) -> None:
        decided = self._arbiter.status
        text = report_to_json(
            ControlStatus(
                source=decided.source,
                enabled=decided.enabled,
                reason=decided.why.code if decided.why else Reason.NONE,
                reason_text=decided.why.text if decided.why else "",
                fault=self._arbiter.fault if state else Fault.NO_SERVO,
                fault_text=self._arbiter.fault_text,
                moving=state.moving if state else False,
            )
        )
        if text != self._last_status:
            self._last_status = text
            self._status.publish(String(data=text))
            self._publish_diagnostics()

    def _on_second(self) -> None:
        rivals = self._rivals.find(time.monotonic_ns())
        if rivals and self._arbiter.status.enabled:
            self._arbiter.disable(Why(Reason.SECOND_PUBLISHER, rivals))
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        self._diagnostics.publish(
            [
                arm_status(
                    self._arbiter,
                    self._keeper,
                    self.callback_guard.counts.total(),
                    self._clock_jumps,
                ),
                loop_status(self._keeper, self._rig.servo.priority),
                gripper_status(self._gripper),
            ]
        )

    def _monotonic_minus_ros_ns(self) -> int:
        """Return the offset from ROS time to `time.monotonic_ns`."""
        before_ns = time.monotonic_ns()
        ros_ns = self.get_clock().now().nanoseconds
        return self._clock_mapping.read(before_ns, ros_ns, time.monotonic_ns())

    def _to_monotonic_ns(self, stamp: Time) -> int:
        """Convert a message's stamp to `time.monotonic_ns`, capped at now.

        Raises:
            MessageError: If it is not close to the current time.
        """
        now_ns, shift_ns = time.monotonic_ns(), self._monotonic_minus_ros_ns()
        return min(recent_stamp_ns(stamp, now_ns - shift_ns) + shift_ns, now_ns)


def _trigger(action: Callable[[], str]) -> Callable[..., Trigger.Response]:
    """Return a service callback for an action that returns an empty text or a refusal."""

    def callback(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = action()
        response.success = not response.message
        return response

    return callback


def main() -> None:
    """Run the control node until shutdown."""
    run_node(ControlNode)


if __name__ == "__main__":
    main()
