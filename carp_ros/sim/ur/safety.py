"""The controller's safety and power modes and their transitions.

Source: Universal Robots e-Series user manual, "Robot modes" and "Stop conditions".
"""

from __future__ import annotations

from enum import IntEnum

from carp_ros.hardware.ur_safety import UrSafetyMode


class RobotMode(IntEnum):
    """Power state of the arm, in the numbering of RTDE `robot_mode`."""

    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    RUNNING = 7


class SafetyController:
    """State machine of the modes. Times are the controller's own, in [s].

    Args:
        unlock_delay_s: Time from a protective stop until it may be unlocked; 5 on a UR.
        power_delay_s: Duration of powering on and of releasing the brakes, each.
    """

    def __init__(self, unlock_delay_s: float, power_delay_s: float) -> None:
        self._unlock_delay_s = unlock_delay_s
        self._power_delay_s = power_delay_s
        self._stopped_at_s = 0.0
        self.restore()

    @property
    def may_move(self) -> bool:
        """Whether the arm is powered, its brakes are released and no stop is active."""
        return self.safety_mode.may_move and self.robot_mode is RobotMode.RUNNING

    @property
    def status_bits(self) -> int:
        """RTDE `safety_status_bits`."""
        if self.safety_mode is UrSafetyMode.PROTECTIVE_STOP:
            return 1 << 2 | 1 << 10
        if self.safety_mode is UrSafetyMode.ROBOT_EMERGENCY_STOP:
            return 1 << 6 | 1 << 7 | 1 << 10
        return 1

    def protective_stop(self, now_s: float) -> None:
        """Stop the arm, as after a collision; power stays on."""
        if self.safety_mode.may_move:
            self.safety_mode = UrSafetyMode.PROTECTIVE_STOP
            self._stopped_at_s = now_s

    def unlock(self, now_s: float) -> str | None:
        """Unlock a protective stop; return why it is not allowed, or None."""
        if self.safety_mode is not UrSafetyMode.PROTECTIVE_STOP:
            return None
        if now_s - self._stopped_at_s < self._unlock_delay_s:
            return (
                f"Cannot unlock protective stop until {self._unlock_delay_s:g}s after occurrence."
                " Always inspect cause of protective stop before unlocking"
            )
        self.safety_mode = UrSafetyMode.NORMAL
        return None

    def emergency_stop(self) -> None:
        """Press the emergency stop: the arm stops and loses power."""
        self.safety_mode = UrSafetyMode.ROBOT_EMERGENCY_STOP
        self.power_off()

    def release_emergency_stop(self) -> None:
        """Release the emergency stop; power stays off until switched on."""
        if self.safety_mode is UrSafetyMode.ROBOT_EMERGENCY_STOP:
            self.safety_mode = UrSafetyMode.NORMAL

    def power_on(self, now_s: float) -> None:
        """Switch on the arm's power; the brakes stay closed."""
        if self.safety_mode.may_move and self.robot_mode is RobotMode.POWER_OFF:
            self.robot_mode = RobotMode.POWER_ON
            self._change = (now_s + self._power_delay_s, RobotMode.IDLE)

    def brake_release(self, now_s: float) -> None:
        """Release the brakes of a powered arm."""
        if self.safety_mode.may_move and self.robot_mode is RobotMode.IDLE:
            self._change = (now_s + self._power_delay_s, RobotMode.RUNNING)

    def power_off(self) -> None:
        """Switch off the arm's power; the brakes close."""
        self.robot_mode = RobotMode.POWER_OFF
        self._change = None

    def restore(self) -> None:
        """Return at once to the normal mode, with power and released brakes."""
        self.safety_mode = UrSafetyMode.NORMAL
        self.robot_mode = RobotMode.RUNNING
        self._change: tuple[float, RobotMode] | None = None

    def advance(self, now_s: float) -> None:
        """Complete a pending power change that is due."""
        if self._change and now_s >= self._change[0]:
            self.robot_mode = self._change[1]
            self._change = None
