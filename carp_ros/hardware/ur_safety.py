"""A UR controller's safety modes: numbers, the matching `SafetyState` and the operator's remedy."""

from __future__ import annotations

from enum import IntEnum

from carp_ros.types import SafetyState


class UrSafetyMode(IntEnum):
    """RTDE `safety_mode`; the dashboard uses the same names."""

    UNKNOWN = 0
    NORMAL = 1
    REDUCED = 2
    PROTECTIVE_STOP = 3
    RECOVERY = 4
    SAFEGUARD_STOP = 5
    SYSTEM_EMERGENCY_STOP = 6
    ROBOT_EMERGENCY_STOP = 7
    VIOLATION = 8
    FAULT = 9

    @property
    def state(self) -> SafetyState:
        """The matching `SafetyState`."""
        return _STATES[self]

    @property
    def may_move(self) -> bool:
        """Whether the arm accepts motion in this mode."""
        return self.state.may_move


def safety_of(number: int) -> tuple[SafetyState, str]:
    """Return the safety state of an RTDE `safety_mode`, and the operator's remedy.

    Newer controllers have further modes, unknown here; none of those allows motion.
    """
    try:
        mode = UrSafetyMode(number)
    except ValueError:
        return SafetyState.UNKNOWN, f"safety mode {number} of the controller: look at its pendant"
    return mode.state, _REMEDIES.get(mode, "")


_STATES = {
    UrSafetyMode.UNKNOWN: SafetyState.UNKNOWN,
    UrSafetyMode.NORMAL: SafetyState.NORMAL,
    UrSafetyMode.REDUCED: SafetyState.REDUCED,
    UrSafetyMode.PROTECTIVE_STOP: SafetyState.PROTECTIVE_STOP,
    UrSafetyMode.RECOVERY: SafetyState.RECOVERY,
    UrSafetyMode.SAFEGUARD_STOP: SafetyState.SAFEGUARD_STOP,
    UrSafetyMode.SYSTEM_EMERGENCY_STOP: SafetyState.EMERGENCY_STOP,
    UrSafetyMode.ROBOT_EMERGENCY_STOP: SafetyState.EMERGENCY_STOP,
    UrSafetyMode.VIOLATION: SafetyState.FAULT,
    UrSafetyMode.FAULT: SafetyState.FAULT,
}
_REMEDIES = {
    UrSafetyMode.UNKNOWN: "look at the pendant",
    UrSafetyMode.PROTECTIVE_STOP: "clear what the arm collided with",
    UrSafetyMode.RECOVERY: "move the arm back into its limits at the pendant",
    UrSafetyMode.SAFEGUARD_STOP: "close the safeguard",
    UrSafetyMode.SYSTEM_EMERGENCY_STOP: "release the emergency stop of the cell",
    UrSafetyMode.ROBOT_EMERGENCY_STOP: "release the emergency stop at the pendant",
    UrSafetyMode.VIOLATION: "a safety limit was broken: clear the violation at the pendant",
    UrSafetyMode.FAULT: "restart the safety system at the pendant",
}
