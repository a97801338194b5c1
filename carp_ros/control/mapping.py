"""Maps pointer deflections to a tool twist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.rig import TeleopConfig
from carp_ros.types import Array, PointerState, Twist


@dataclass(frozen=True, slots=True)
class TeleopCommand:
    """The operator's command.

    Attributes:
        stamp_ns: When the pointer was read.
        twist: Twist of the TCP in the base frame; zero unless `deadman`.
        deadman: Whether the operator holds the dead-man button.
        gripper: 0 open, 1 closed.
    """

    stamp_ns: int
    twist: Twist
    deadman: bool
    gripper: float


class TeleopMapping:
    """Turns pointer readings into commands; its only state is the gripper command.

    Pushing the pointer along an axis of the base frame moves the tool along that axis, and
    turning it rotates the tool about that axis through the TCP.

    Args:
        config: Speeds, response curve and buttons.

    Raises:
        ValueError: If a value in `config` is out of range.
    """

    def __init__(self, config: TeleopConfig) -> None:
        _check(config)
        self._config = config
        self._signs = np.array(config.signs)
        self._gripper = 0.0
        # Ignore a button that is already down at start-up until it is released.
        self._gripper_button_was_down = True

    def map(self, state: PointerState, now_ns: int) -> TeleopCommand:
        """Return the command for a reading taken at `now_ns`.

        Each press of the gripper button toggles the gripper once, however long it is held.
        """
        deadman = state.connected and _is_down(state, self._config.deadman_button)
        down = not state.connected or _is_down(state, self._config.gripper_button)
        if down and not self._gripper_button_was_down and state.connected:
            self._gripper = 1.0 - self._gripper
        self._gripper_button_was_down = down
        return TeleopCommand(
            stamp_ns=now_ns,
            twist=self._twist(state.deflections if deadman else np.zeros(6)),
            deadman=deadman,
            gripper=self._gripper,
        )

    def _twist(self, deflections: Array) -> Twist:
        config = self._config
        # Measured from the edge of the dead zone, so that motion starts without a step.
        beyond = (np.abs(deflections) - config.dead_zone) / (1.0 - config.dead_zone)
        strength = np.clip(beyond, 0.0, 1.0) ** config.exponent
        shaped = self._signs * np.sign(deflections) * strength
        return Twist(
            linear=config.linear_speed_m_s * _into_unit_ball(shaped[:3]),
            angular=config.angular_speed_rad_s * _into_unit_ball(shaped[3:]),
        )


def _into_unit_ball(vector: Array) -> Array:
    """Return `vector`, scaled down to length 1 if longer: a diagonal is no faster than an axis."""
    return vector / max(1.0, float(np.linalg.norm(vector)))


def _is_down(state: PointerState, button: int) -> bool:
    return button < len(state.buttons) and state.buttons[button]


def _check(config: TeleopConfig) -> None:
    for name in ("linear_speed_m_s", "angular_speed_rad_s", "exponent"):
        value = getattr(config, name)
        if not 0.0 < value < np.inf:
            raise ValueError(f"teleop.{name} is {value}; expected a number above 0")
    if not 0.0 <= config.dead_zone < 1.0:
        raise ValueError(f"teleop.dead_zone is {config.dead_zone}; expected 0 to below 1")
    if any(sign not in (1.0, -1.0) for sign in config.signs):
        raise ValueError(f"teleop.signs is {list(config.signs)}; expected 1 or -1 for each axis")
    buttons = (config.deadman_button, config.gripper_button)
    if min(buttons) < 0 or buttons[0] == buttons[1]:
        raise ValueError(
            f"teleop.deadman_button is {buttons[0]} and gripper_button is {buttons[1]};"
            " expected two different buttons, counted from 0"
        )
