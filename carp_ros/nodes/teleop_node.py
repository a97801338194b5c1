"""ROS node: reads the SpaceMouse and publishes the operator's commands.

Publishes:
    teleop/twist (TwistStamped): wanted velocity of the TCP in the base frame; zero unless the
        dead-man button is held.
    teleop/deadman (Bool): heartbeat, true while the button is held; silent while no SpaceMouse is
        connected, which stops the arm. On a simulated rig it is sent, false, until a SpaceMouse
        was connected once.
    teleop/gripper (Float64): 0 open, 1 closed.
    episode/event (String): toggle when both buttons are pressed and released, discard when both are
        held; see carp_ros.recording.event.
    /diagnostics (DiagnosticArray).
"""

from __future__ import annotations

import time

from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Bool, Float64, String

from carp_ros.control.gestures import Gestures
from carp_ros.control.mapping import TeleopCommand, TeleopMapping
from carp_ros.control.realtime import prefer_process
from carp_ros.errors import DeviceError
from carp_ros.hardware.pointer import Pointer
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.recording.event import EpisodeEvent
from carp_ros.rig import Rig
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import twist_to_msg
from carp_ros.ros.parameter_rules import OneOf
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND, EVENTS

_HEARTBEAT_TICKS = 4
_UNHEARD_S = 10  # seconds without any report before it is logged
_NEVER_HEARD = (
    "connected, but it has never reported anything: move it; if that changes nothing, switch a"
    " wireless mouse on and pair it, or name its device file in teleop.hid_path"
)


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
            "The operator's input device; empty: the rig file's.",
            OneOf(("", "spacemouse", "demonstrator")),
        )
        task = fixed_parameter(self, "task", "", "The demonstrator's task; empty: the rig file's.")
        config = self._rig.teleop
        self._pointer = pointer or _make_pointer(self._rig, device or config.device, task)
        self._gestures = Gestures(config)
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
        self._last: TeleopCommand | None = None
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

    def _on_tick(self) -> None:
        now_ns = time.monotonic_ns()
        state, gesture = self._gestures.take(self._pointer.read(now_ns), now_ns)
        if gesture is not None:
            self._events.publish(String(data=EpisodeEvent(gesture, "spacemouse").to_json()))
        command = self._mapping.map(state, now_ns)
        self._ticks += 1
        if not state.connected:
            self._problem = self._problem or "the pointer is unplugged: plug it in again"
            self._last = None
            # in simulation a policy may move the arm without a SpaceMouse: keep the heartbeat alive
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
        level = ERROR if self._problem else OK if self._heard else WARN
        text = self._problem or ("connected" if self._heard else _NEVER_HEARD)
        self._unheard_s += level == WARN
        if level == WARN and self._unheard_s == _UNHEARD_S:
            self.get_logger().info(f"pointer: {text}")
        self._diagnostics.publish([status("teleop: pointer", level, text)])


def _make_pointer(rig: Rig, device: str, task: str) -> Pointer:
    """Return the named pointer, not yet opened.

    Raises:
        ValueError: If there is none of that name.
        DeviceError: If the demonstrator is wanted and its simulated cell is not running.
    """
    if device == "spacemouse":
        return SpaceMouse(rig.teleop)
    if device == "demonstrator" and rig.cell is not None:
        from carp_ros.sim.operator import SpaceMouseDemonstrator  # only a simulated rig has MuJoCo

        return SpaceMouseDemonstrator(rig, task or rig.cell.task)
    raise ValueError(
        f"device is {device!r}; expected spacemouse, or demonstrator on a rig with a cell"
    )


def main() -> None:
    """Run the node until shutdown."""
    run_node(TeleopNode)


if __name__ == "__main__":
    main()
