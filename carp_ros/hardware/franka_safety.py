"""The modes and errors of a Franka robot: the matching `SafetyState` and the operator's remedy."""

from __future__ import annotations

import franky

from carp_ros.types import SafetyState

_STATES = {
    franky.RobotMode.Idle: SafetyState.NORMAL,
    franky.RobotMode.Move: SafetyState.NORMAL,
    franky.RobotMode.Guiding: SafetyState.RECOVERY,
    franky.RobotMode.Reflex: SafetyState.PROTECTIVE_STOP,
    franky.RobotMode.UserStopped: SafetyState.SAFEGUARD_STOP,
    franky.RobotMode.AutomaticErrorRecovery: SafetyState.RECOVERY,
}
_REMEDIES = {
    SafetyState.UNKNOWN: "look at Desk: are the joints unlocked, and is FCI active?",
    SafetyState.PROTECTIVE_STOP: "clear what the arm collided with, or what it reports",
    SafetyState.SAFEGUARD_STOP: "release the user stop",
    SafetyState.RECOVERY: "wait until nobody guides the arm by hand",
}
# For the operator; other errors are named as libfranka does.
_ERRORS = {
    "joint_reflex": "something turned a joint harder than arm.collision_torque_nm",
    "cartesian_reflex": "something pushed the tool harder than arm.collision_force_n",
    "joint_position_limits_violation": "a joint is at its stop: guide it back by hand",
    "communication_constraints_violation": (
        "commands came too late: check network, CPU load and the real-time kernel"
    ),
}
ERROR_NAMES = tuple(sorted(name for name in vars(franky.Errors) if not name.startswith("_")))
"""Names of all errors that the robot reports."""


def safety_of(mode: franky.RobotMode, errors: franky.Errors) -> tuple[SafetyState, str]:
    """Return the safety state of a robot's mode, and the errors and the remedy in words."""
    state = _STATES.get(mode, SafetyState.UNKNOWN)
    if state.may_move:
        return state, ""
    reported = errors_in_words(errors)
    remedy = _REMEDIES[state]
    return state, f"{reported}: {remedy}" if reported else remedy


def errors_in_words(errors: franky.Errors) -> str:
    """Return the active errors; empty if there are none."""
    names = [name for name in ERROR_NAMES if getattr(errors, name)]
    return ", ".join(f"{name} ({_ERRORS[name]})" if name in _ERRORS else name for name in names)
