"""Decides whether the arm may move: watches robot, commands and tracking error; latches faults.

A fault stays latched until its cause is gone and an operator resets it; every motion then needs an
enable newer than the fault. The same holds at start-up: an enable given before this process began
does not count.
"""

from __future__ import annotations

import math

from carp_ros.control.command import Command
from carp_ros.control.servo import ServoMode
from carp_ros.geometry import pose_difference
from carp_ros.reports.control import Fault
from carp_ros.rig import LimitsConfig
from carp_ros.types import ArmState, Pose


class Guard:
    """Latches the first fault and decides which commands may move the arm.

    Args:
        limits: The rig's limits.
        state_timeout_s: A robot clock that does not advance for longer is a fault.
        heartbeat_timeout_s: Silence of the control node for longer is a fault.
        simulated: Whether the robot is a simulator on this machine (selects the error text).

    Attributes:
        limits: The rig's limits.
        fault, text: The latched fault and its description; NONE and empty if there is none.
    """

    def __init__(
        self,
        limits: LimitsConfig,
        state_timeout_s: float,
        heartbeat_timeout_s: float,
        *,
        simulated: bool = False,
    ) -> None:
        self.limits = limits
        self._state_timeout_s = state_timeout_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._if_silent = _IF_SIMULATED if simulated else _IF_REAL
        self._robot_time_s = math.nan
        self._robot_alive_ns = 0
        self._contact_since_ns: int | None = None
        self._spent_enables: int | None = None  # enables up to this count are no longer valid
        self._resets_done = 0
        self.fault = Fault.NONE
        self.text = ""

    @property
    def resets_done(self) -> int:
        """The last of `Command.resets` that was handled, whether or not it succeeded."""
        return self._resets_done

    def may_move(self, command: Command | None) -> bool:
        """Return whether `command` may move the arm now."""
        if command is None or self.fault is not Fault.NONE or self._spent_enables is None:
            return False
        return command.enables > self._spent_enables and not self.reset_asked(command)

    def reset_asked(self, command: Command | None) -> bool:
        """Return whether an operator requested a reset that has not been tried yet."""
        return command is not None and command.resets > self._resets_done

    def reset(self, command: Command) -> None:
        """Clear the fault; motion then needs an enable newer than `command`."""
        self.fault, self.text = Fault.NONE, ""
        self._resets_done = command.resets
        self._spent_enables = command.enables

    def refuse_reset(self, command: Command, why: str) -> None:
        """Keep the fault and append why it could not be reset."""
        self._resets_done = command.resets
        self.text = f"{self.text.partition(_RESET_FAILED)[0]}{_RESET_FAILED}{why}"

    def latch(self, fault: Fault, text: str, command: Command | None) -> None:
        """Latch a fault unless one is already latched, and invalidate all enables so far.

        A safety stop replaces a fault that may be its first symptom: the robot's program may end,
        or a target be refused, before the state that reports the stop arrives.
        """
        explains = fault is Fault.SAFETY_STOP and self.fault in (Fault.REFUSED, Fault.NOT_READY)
        if self.fault is Fault.NONE or explains:
            self.fault, self.text = fault, text
        if command is not None:
            self._spent_enables = command.enables

    def watch(
        self, now_ns: int, arm: ArmState, tool: Pose, target: Pose, command: Command | None
    ) -> None:
        """Run all checks, once per tick, and latch the first fault found.

        Args:
            now_ns: The time.
            arm: Newest robot state.
            tool: Measured `base_from_tcp`.
            target: Commanded `base_from_tcp`.
            command: Newest command; None before the first.
        """
        if command is None:
            return
        if self._spent_enables is None:
            self._spent_enables, self._resets_done = command.enables, command.resets
        finding = (
            self._robot(now_ns, arm)
            or self._heartbeat(now_ns, command)
            or self._tracking(tool, target)
            or self._contact(now_ns, arm, command)
        )
        if finding:
            self.latch(*finding, command)

    def _robot(self, now_ns: int, arm: ArmState) -> tuple[Fault, str] | None:
        if arm.robot_time_s != self._robot_time_s:
            self._robot_time_s, self._robot_alive_ns = arm.robot_time_s, now_ns
        silent_s = (now_ns - self._robot_alive_ns) * 1e-9
        if silent_s > self._state_timeout_s:
            return Fault.ROBOT_SILENT, (
                f"no new robot state for {silent_s:.2f} s (limit {self._state_timeout_s} s):"
                f" {self._if_silent}, then reset"
            )
        if not arm.safety.may_move:
            remedy = arm.explanation or "clear its cause"
            return Fault.SAFETY_STOP, (f"the robot is in {arm.safety.name}: {remedy}, then reset")
        if not arm.ready:
            why = f" ({arm.explanation})" if arm.explanation else ""
            return Fault.NOT_READY, f"the robot follows no joint targets{why}: reset"
        return None

    def _heartbeat(self, now_ns: int, command: Command) -> tuple[Fault, str] | None:
        silent_s = (now_ns - command.heartbeat_ns) * 1e-9
        # while nothing is enabled, silence is harmless: there is no motion to stop
        if silent_s <= self._heartbeat_timeout_s or not self.may_move(command):
            return None
        return Fault.CONTROL_SILENT, (
            f"no heartbeat of the control node for {silent_s:.2f} s (limit"
            f" {self._heartbeat_timeout_s} s): it died or is overloaded"
        )

    def _contact(self, now_ns: int, arm: ArmState, command: Command) -> tuple[Fault, str] | None:
        """Return a fault if the tool was pressed too hard for 10 ms while a policy moves the arm.

        A single peak, of an accelerated load say, is no contact.
        """
        if command.mode is not ServoMode.CHUNK or arm.wrench is None or not self.may_move(command):
            self._contact_since_ns = None
            return None
        force_n = math.hypot(*arm.wrench[:3].tolist())
        if force_n <= self.limits.max_contact_force_n:  # false for NaN
            self._contact_since_ns = None
            return None
        since_ns = self._contact_since_ns = self._contact_since_ns or now_ns
        if now_ns - since_ns < _CONTACT_NS:
            return None
        return Fault.CONTACT, (
            f"{force_n:.0f} N push the tool (limit {self.limits.max_contact_force_n:g} N,"
            " limits.max_contact_force_n): look what it touches, move the arm away by hand or"
            " pointer, then reset"
        )

    def _tracking(self, tool: Pose, target: Pose) -> tuple[Fault, str] | None:
        error = pose_difference(tool, target)
        error_m, error_rad = math.hypot(*error[:3].tolist()), math.hypot(*error[3:].tolist())
        limits = self.limits
        if error_m <= limits.max_tracking_error_m and error_rad <= limits.max_tracking_error_rad:
            return None
        return Fault.TRACKING, (
            f"the tool is {error_m:.3f} m and {error_rad:.2f} rad from where it was commanded"
            f" (limits {limits.max_tracking_error_m} m, {limits.max_tracking_error_rad} rad): is"
            " it blocked, or its payload set wrong? then reset"
        )


_CONTACT_NS = 10_000_000
_RESET_FAILED = "; reset failed: "
_IF_REAL = "check the network cable and the controller"
_IF_SIMULATED = "the simulated controller got no CPU time on this busy machine; reduce its load"
