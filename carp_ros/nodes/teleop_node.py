"""ROS node: reads the operator's pointer and publishes the operator's commands.

Subscribes:
    tool_pose (PoseStamped): orientation of the tool, if `teleop.frame` is `tool`.

Publishes:
    teleop/twist (TwistStamped): wanted velocity of the TCP in the base frame; zero unless the
        dead-man button is held.
    teleop/deadman (Bool): heartbeat, true while the button is held; silent while no pointer is
        connected, which stops the arm. On a simulated rig it is sent, false, until a pointer was
        connected once.
    teleop/gripper (Float64): 0 open, 1 closed.
    episode/event (String): a wish whose button is pressed; toggle when the dead-man and the gripper
        button are pressed and released together, discard when both are held; see
        carp_ros.recording.event.
    /diagnostics (DiagnosticArray).
"""

from __future__ import annotations

import time

from geometry_msgs.msg import PoseStamped, TwistStamped
from std_msgs.msg import Bool, Float64, String

from carp_ros.control.episode_buttons import EpisodeButtons
from carp_ros.control.gestures import Gestures
from carp_ros.control.mapping import TeleopCommand, TeleopMapping
from carp_ros.control.realtime import prefer_process
from carp_ros.errors import DeviceError
from carp_ros.hardware.open_pointer import pointer_of
from carp_ros.hardware.pointer import Pointer
from carp_ros.recording.event import EpisodeEvent
from carp_ros.rig import Rig
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import pose_from_msg, twist_to_msg
from carp_ros.ros.parameter_rules import OneOf
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND, EVENTS, SENSOR
from carp_ros.types import Array, PointerFault, PointerRefusal, PointerState

_HEARTBEAT_TICKS = 4
_UNHEARD_S = 10  # seconds without any report before it is logged
_NEVER_HEARD = (
    "connected, but it has never reported anything: move it; if that changes nothing, switch a"
    " wireless one on and pair it, or name its device file in teleop.pointer"
)
_TOOL_LOST = (
    "teleop.frame is tool, but no tool_pose arrives, so nothing moves: is control_node active?"
)
_TOOL_TIMEOUT_NS = 200_000_000


class TeleopNode(GuardedNode):
    """Feeds a pointer's readings to a `TeleopMapping` and publishes its commands."""

    def __init__(self, pointer: Pointer | None = None) -> None:
        prefer_process()  # before ROS starts the threads that receive
        super().__init__("teleop_node")
        self._rig = rig_parameter(self)
        device = fixed_parameter(
            self,
            "device",
            "",
            "Whom to listen to; empty: the rig file's.",
            OneOf(("", "pointer", "demonstrator")),
        )
        task = fixed_parameter(self, "task", "", "The demonstrator's task; empty: the rig file's.")
        config = self._rig.teleop
        self._pointer = pointer or _make_pointer(self._rig, device or config.device, task)
        self._driver = config.pointer.driver
        self._gestures = Gestures() if config.pointer.both_buttons else None
        self._episode_buttons = EpisodeButtons()
        self._mapping = TeleopMapping(config)
        self._twists = self.create_publisher(TwistStamped, "teleop/twist", COMMAND)
        self._deadmen = self.create_publisher(Bool, "teleop/deadman", COMMAND)
        self._grippers = self.create_publisher(Float64, "teleop/gripper", COMMAND)
        self._events = self.create_publisher(String, "episode/event", EVENTS)
        self._diagnostics = DiagnosticsPublisher(self)
        self._ticks = 0
        self._problem = "not opened yet"
        self._without_pointer = self._rig.cell is not None  # until a pointer was connected
        self._heard = False
        self._unheard_s = 0
        self._refusal: PointerRefusal | None = None
        self._told: PointerFault | None = None
        self._last: TeleopCommand | None = None
        self._tool: tuple[Array, int] | None = None  # its quaternion, and when it arrived
        if config.frame == "tool":
            self.create_subscription(PoseStamped, "tool_pose", self._on_tool_pose, SENSOR)
        self._try_to_open()
        self.create_timer(1.0 / config.rate_hz, self._on_tick)
        self.create_timer(1.0, self._on_second)

    def destroy_node(self) -> None:
        """Close the pointer."""
        self._pointer.close()
        super().destroy_node()

    def _try_to_open(self) -> None:
        try:
            self._pointer.open()
            self._problem = ""
        except DeviceError as error:
            if str(error) != self._problem:  # retried every second: log only changes
                self.get_logger().warning(f"waiting for the pointer: {error}")
            self._problem = str(error)

    def _on_tool_pose(self, msg: PoseStamped) -> None:
        tool = pose_from_msg(msg, self._rig.robot.base_frame)
        self._tool = tool.quaternion, time.monotonic_ns()

    def _tool_quaternion(self, now_ns: int) -> Array | None:
        """Return the tool's orientation if it is of now."""
        if self._tool is None or now_ns - self._tool[1] > _TOOL_TIMEOUT_NS:
            return None
        return self._tool[0]

    def _read(self, now_ns: int) -> PointerState:
        """Return the pointer's state, and publish what its buttons wish about the episode."""
        state = self._pointer.read(now_ns)
        wishes = self._episode_buttons.take(state, now_ns)
        if self._gestures is not None:
            state, gesture = self._gestures.take(state, now_ns)
            wishes = (*wishes, gesture) if gesture is not None else wishes
        for wish in wishes:
            self._events.publish(String(data=EpisodeEvent(wish, self._driver).to_json()))
        return state

    def _on_tick(self) -> None:
        now_ns = time.monotonic_ns()
        state = self._read(now_ns)
        self._refusal = state.refusal
        command = self._mapping.map(state, now_ns, self._tool_quaternion(now_ns))
        self._ticks += 1
        if not state.connected:
            self._problem = self._problem or "the pointer is unplugged: plug it in again"
            self._last = None
            # in simulation a policy may move the arm without a pointer: keep the heartbeat alive
            if self._without_pointer and self._ticks % _HEARTBEAT_TICKS == 0:
                self._deadmen.publish(Bool(data=False))
            return
        self._problem, self._without_pointer, self._heard = "", False, state.heard
        frame, stamp_ns = self._rig.robot.base_frame, self.get_clock().now().nanoseconds
        self._twists.publish(twist_to_msg(command.twist, stamp_ns, frame))
        changed = (
            self._last is None
            or command.deadman != self._last.deadman
            or command.gripper != self._last.gripper
        )
        self._last = command
        if changed or self._ticks % _HEARTBEAT_TICKS == 0:
            self._deadmen.publish(Bool(data=command.deadman))
            self._grippers.publish(Float64(data=command.gripper))

    def _on_second(self) -> None:
        if self._problem:
            self._try_to_open()
        level, text = self._finding()
        self._unheard_s = self._unheard_s + 1 if text == _NEVER_HEARD else 0
        if self._unheard_s == _UNHEARD_S:
            self.get_logger().info(f"pointer: {text}")
        refusal = self._refusal
        if refusal is not None and refusal.code is not self._told:
            self.get_logger().warning(f"pointer: {refusal.text}")
        self._told = None if refusal is None else refusal.code
        code = "" if refusal is None else refusal.code.value
        self._diagnostics.publish([status("teleop: pointer", level, text, {"refusal": code})])

    def _finding(self) -> tuple[bytes, str]:
        """Return the level and text of the pointer's diagnostics."""
        if self._problem:
            return ERROR, self._problem
        if self._refusal is not None:
            return WARN, self._refusal.text
        if not self._heard:
            return WARN, _NEVER_HEARD
        if self._rig.teleop.frame == "tool" and self._tool_quaternion(time.monotonic_ns()) is None:
            return WARN, _TOOL_LOST
        return OK, "connected"


def _make_pointer(rig: Rig, device: str, task: str) -> Pointer:
    """Return the named pointer, not yet opened.

    Raises:
        ValueError: If there is none of that name.
        DeviceError: If the demonstrator is wanted and its simulated cell is not running.
    """
    if device == "pointer":
        return pointer_of(rig.teleop)
    if device == "demonstrator" and rig.cell is not None:
        from carp_ros.sim.operator import SpaceMouseDemonstrator  # only a simulated rig has MuJoCo

        return SpaceMouseDemonstrator(rig, task or rig.cell.task)
    raise ValueError(
        f"device is {device!r}; expected pointer, or demonstrator on a rig with a cell"
    )


def main() -> None:
    """Run the node until shutdown."""
    run_node(TeleopNode)


if __name__ == "__main__":
    main()
