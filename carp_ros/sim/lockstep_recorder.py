"""Records a lockstep episode as the messages that nodes publish of a running cell.

Topics, rates and bytes are the same as when recording over ROS; only the stamps differ, which count
simulated time.
"""

from __future__ import annotations

from collections.abc import Callable

from carp_ros.control.mapping import TeleopCommand
from carp_ros.control.servo import Target
from carp_ros.control.wrench import WrenchAtTcp
from carp_ros.recording import messages
from carp_ros.reports.control import ControlStatus, Fault, Reason, Source
from carp_ros.reports.json_report import report_to_json
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.lockstep import Operator

_STATE_PERIOD_NS = 10_000_000  # as in nodes/control_node.py
_GRIPPER_PERIOD_NS = 40_000_000
_HEARTBEAT_TICKS = 4  # as in nodes/teleop_node.py

Write = Callable[[str, int, bytes], None]
"""Takes topic, stamp in [ns] and CDR bytes."""


class LockstepRecorder:
    """Records one episode; pass `observe` to `run_episode` as `record`.

    Args:
        cell: At the start of an episode.
        cameras: Of this cell.
        operator: The agent.
        began_ns: ROS time at which the cell's time is zero.
        write: Receives the messages.
    """

    def __init__(
        self, cell: Cell, cameras: Cameras, operator: Operator, began_ns: int, write: Write
    ) -> None:
        self._cell = cell
        self._cameras = cameras
        self._operator = operator
        self._began_ns = began_ns
        self._write = write
        self._frame = cell.rig.robot.base_frame
        cell.measures_wrench = True
        self._at_tcp = WrenchAtTcp(cell.rig.tool.flange_from_tcp)
        self._image_counts = dict.fromkeys(cameras.names, 0)
        self._commands = 0
        self._last_command: TeleopCommand | None = None
        self._last_status = ""

    def observe(self, now_ns: int, target: Target) -> None:
        """Write the messages that are due.

        Args:
            now_ns: The cell's time.
            target: The servo's current command.
        """
        stamp_ns = self._began_ns + now_ns
        command = self._operator.command
        if command is not None and command is not self._last_command:
            self._write_command(stamp_ns, command)
        if now_ns % _STATE_PERIOD_NS == 0:
            self._write_state(stamp_ns, target)
        if now_ns % _GRIPPER_PERIOD_NS == 0:
            self._write_number("/gripper_command", stamp_ns, target.gripper)
            self._write_number("/gripper_state", stamp_ns, self._cell.gripper_closure)
        for name, taken in self._image_counts.items():
            # Counting images keeps the average rate right although images only fall on ticks.
            if now_ns * self._cell.rig.cameras[name].rate_hz >= taken * 1e9:
                self._image_counts[name] += 1
                self._write_image(stamp_ns, name)

    def _write_command(self, stamp_ns: int, command: TeleopCommand) -> None:
        last, self._last_command = self._last_command, command
        twist = messages.encode_twist(command.twist, stamp_ns, self._frame)
        self._write("/teleop/twist", stamp_ns, twist)
        self._commands += 1
        changed = last is None or (command.deadman, command.gripper) != (last.deadman, last.gripper)
        if changed or self._commands % _HEARTBEAT_TICKS == 0:
            self._write("/teleop/deadman", stamp_ns, messages.encode_flag(command.deadman))
            self._write_number("/teleop/gripper", stamp_ns, command.gripper)

    def _write_state(self, stamp_ns: int, target: Target) -> None:
        cell, frame = self._cell, self._frame
        names = cell.rig.robot.joint_names
        joints = messages.encode_joints(names, cell.joints, cell.velocities, stamp_ns, frame)
        self._write("/joint_states", stamp_ns, joints)
        self._write("/tool_pose", stamp_ns, messages.encode_pose(cell.tcp_pose, stamp_ns, frame))
        wrench = self._at_tcp.of(cell.wrench, cell.tcp_pose)
        self._write("/wrench", stamp_ns, messages.encode_wrench(wrench, stamp_ns))
        self._write("/target_pose", stamp_ns, messages.encode_pose(target.pose, stamp_ns, frame))
        status = report_to_json(
            ControlStatus(
                source=Source.TELEOP,
                enabled=True,
                reason=Reason.NONE,
                reason_text="",
                fault=Fault.NONE,
                fault_text="",
                moving=target.moving,
            )
        )
        if status != self._last_status:
            self._last_status = status
            self._write("/control/status", stamp_ns, messages.encode_text(status))

    def _write_number(self, topic: str, stamp_ns: int, number: float) -> None:
        self._write(topic, stamp_ns, messages.encode_number(number))

    def _write_image(self, stamp_ns: int, name: str) -> None:
        intrinsics = self._cameras.intrinsics(name)
        image = messages.encode_image(self._cameras.render(name), stamp_ns, intrinsics.frame)
        self._write(f"/{name}/image_raw", stamp_ns, image)
        info = messages.encode_camera_info(intrinsics, stamp_ns)
        self._write(f"/{name}/camera_info", stamp_ns, info)
