"""The steps before any limit is tried: read, hold, and one centimetre."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carp_ros.commissioning.access import Reading
from carp_ros.commissioning.step import Cell, StepError, in_words, moved, roomiest
from carp_ros.commissioning.timed_path import TimedPath
from carp_ros.errors import DeviceError
from carp_ros.geometry import quaternion_from_rotvec, quaternion_multiply, rotvec_from_quaternion
from carp_ros.reports.control import Fault
from carp_ros.reports.first_motion import Figure, StepName
from carp_ros.rig import Rig

_LISTEN_S = 1.0
_STILL_RAD = 0.002
_HOLD_S = 3.0
_SAG_M = 0.003
_CENTIMETRE_M = 0.01
_WITHIN_M = 0.002
_TENTH = 0.1
_CLEAR_M = 0.03


@dataclass(frozen=True)
class ReadStep:
    """Show what is read, and have it compared with the robot's own screen. Nothing moves."""

    name: StepName = StepName.READ
    is_needed: bool = True

    def plan(self, cell: Cell) -> str:
        """Ask nothing: nothing moves."""
        return ""

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Show the readings, ask whether they agree, and measure that the arm stands still."""
        cell.arm.start_track()
        cell.arm.wait(_LISTEN_S)
        reading, track = cell.arm.reading(), cell.arm.track()
        cell.person.tell(readings_text(cell.rig, reading))
        if reading.status.fault is not Fault.NONE:
            raise DeviceError(
                f"the arm has a fault, {reading.status.fault.name}: {reading.status.fault_text};"
                " look at the arm, clear the cause, call control/reset_fault (doc/safety.md), and"
                " begin again"
            )
        if not cell.person.confirm("Does all of this agree with the robot's own screen?"):
            raise StepError(
                "the readings do not agree with the robot's screen: compare robot, arm.host and"
                " tool in the rig's file with the robot and its TCP, and do not move it before"
            )
        joints = np.abs(track.joints - track.joints[0]).max()
        low, high = np.array(cell.limits.workspace_min_m), np.array(cell.limits.workspace_max_m)
        position = reading.tool.position
        return [
            Figure("joints_spread_rad", float(joints), at_most=_STILL_RAD),
            Figure(
                "inside_the_box_m",
                float(min((position - low).min(), (high - position).min())),
                at_least=_CLEAR_M,
            ),
        ]


@dataclass(frozen=True)
class HoldStep:
    """Enable motion, and see that the arm keeps its place."""

    name: StepName = StepName.HOLD
    is_needed: bool = True

    def plan(self, cell: Cell) -> str:
        """Say that nothing should move, and what is wrong if something does."""
        return (
            f"Motion is enabled for {_HOLD_S:.0f} s, and the arm holds its place. If it sags or"
            " drifts, payload or TCP on the robot are wrong."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Hold, and measure how far the tool drifts."""
        track = moved(cell, TimedPath.still(cell.arm.reading().tool, _HOLD_S))
        return [Figure("drift_m", track.spread_m, at_most=_SAG_M)]


@dataclass(frozen=True)
class CentimetreStep:
    """One centimetre in free air and back, at a tenth of the speed limit."""

    name: StepName = StepName.CENTIMETRE
    is_needed: bool = True

    def plan(self, cell: Cell) -> str:
        """Say where to."""
        direction, _ = roomiest(cell.limits, cell.arm.reading().tool.position)
        speed = _TENTH * cell.limits.max_linear_speed_m_s
        return (
            f"The tool moves 10 mm along {in_words(direction)} of {cell.rig.robot.base_frame}, at"
            f" {speed * 1e3:.0f} mm/s, and back. Keep a hand on the emergency stop; Ctrl-C stops"
            " the arm, too. See that it goes that way."
        )

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Go there and back."""
        start = cell.arm.reading().tool
        direction, _ = roomiest(cell.limits, start.position)
        speed = _TENTH * cell.limits.max_linear_speed_m_s
        shift = _CENTIMETRE_M * direction
        out = moved(cell, TimedPath.straight(start, shift, speed))
        there = cell.arm.reading().tool
        back = moved(cell, TimedPath.straight(there, start.position - there.position, speed))
        returned_m = float(np.linalg.norm(back.positions[-1] - start.position))
        if not cell.person.confirm("Did it move one centimetre in that direction, and back?"):
            raise StepError(
                "the arm did not move as it was told: is it mounted as base_frame assumes, and is"
                " tool in the rig's file right?"
            )
        return [
            Figure(
                "travelled_m",
                float(out.along(direction)[-1]),
                _CENTIMETRE_M - _WITHIN_M,
                _CENTIMETRE_M + _WITHIN_M,
            ),
            Figure("off_the_line_m", out.off_line_m(direction), at_most=_WITHIN_M),
            Figure("peak_speed_m_s", out.peak_speed_m_s, at_most=1.5 * speed),
            Figure("returned_within_m", returned_m, at_most=_WITHIN_M),
        ]


def readings_text(rig: Rig, reading: Reading) -> str:
    """Return a reading as a person compares it with the robot's screen."""
    robot, limits = rig.robot, rig.limits
    yaw = quaternion_from_rotvec(np.array([0.0, 0.0, robot.screen_from_base_yaw_rad]))
    turned = quaternion_multiply(yaw, reading.tool.quaternion)
    position, rotation = reading.tool.position, rotvec_from_quaternion(turned)
    cos, sin = math.cos(robot.screen_from_base_yaw_rad), math.sin(robot.screen_from_base_yaw_rad)
    shown = [cos * position[0] - sin * position[1], sin * position[0] + cos * position[1]]
    rows = [
        f"  safety state   {reading.safety.name},"
        f" executes {reading.speed_scaling:.0%} of the speed",
        f"  control        {reading.status.reason.name}: {reading.status.reason_text}",
        f"  TCP            x {position[0] * 1e3:.1f}, y {position[1] * 1e3:.1f},"
        f" z {position[2] * 1e3:.1f} mm in {robot.base_frame}",
        f"  on the screen  X {shown[0] * 1e3:.1f}, Y {shown[1] * 1e3:.1f},"
        f" Z {position[2] * 1e3:.1f} mm, RX {rotation[0]:.3f}, RY {rotation[1]:.3f},"
        f" RZ {rotation[2]:.3f} rad (base, with the rig file's tool as TCP)",
        f"  the box        {list(limits.workspace_min_m)} to {list(limits.workspace_max_m)} m in"
        f" {robot.base_frame}",
    ]
    for name, angle, low, high in zip(
        robot.joint_names, reading.joints, robot.lower_rad, robot.upper_rad
    ):
        rows.append(
            f"  {name:<20} {math.degrees(angle):8.2f} deg, {angle:7.4f} rad"
            f" ({math.degrees(angle - low):.0f} and {math.degrees(high - angle):.0f} deg from its"
            " stops)"
        )
    return "\n".join(rows)
