"""Maps pointer deflections to a tool twist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.geometry import matrix_from_quaternion
from carp_ros.rig import TeleopConfig
from carp_ros.types import DEADMAN, GRIPPER, Array, PointerState, Twist

_NO_ROTATION = np.eye(3)


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

    Pushing the pointer along an axis of `config.frame` moves the tool along that axis, and
    turning it rotates the tool about that axis through the TCP.

    Args:
        config: Speeds, response curve and frame, in the section's ranges.
    """

    def __init__(self, config: TeleopConfig) -> None:
        self._config = config
        self._scale = np.array(config.axis_scale)
        self._gripper = 0.0
        # Ignore a button that is already down at start-up until it is released.
        self._gripper_button_was_down = True

    def map(
        self, state: PointerState, now_ns: int, tool_quaternion: Array | None = None
    ) -> TeleopCommand:
        """Return the command for a reading taken at `now_ns`.

        Each press of the gripper button toggles the gripper once, however long it is held.
        Deflections that are no numbers from -1 to 1 count as a pointer that is not connected.

        Args:
            state: The reading.
            now_ns: Time of the command.
            tool_quaternion: Measured orientation of the TCP in the base frame, xyzw. Without it,
                nothing moves if `config.frame` is `tool`.
        """
        sound = state.connected and bool((np.abs(state.deflections) <= 1.0).all())
        deadman = sound and _is_down(state, DEADMAN)
        down = not sound or _is_down(state, GRIPPER)
        if down and not self._gripper_button_was_down and sound:
            self._gripper = 1.0 - self._gripper
        self._gripper_button_was_down = down
        rotation = self._base_from_frame(tool_quaternion)
        moves = deadman and rotation is not None
        return TeleopCommand(
            stamp_ns=now_ns,
            twist=self._twist(state.deflections if moves else np.zeros(6), rotation),
            deadman=deadman,
            gripper=self._gripper,
        )

    def _base_from_frame(self, tool_quaternion: Array | None) -> Array | None:
        if self._config.frame == "base":
            return _NO_ROTATION
        return None if tool_quaternion is None else matrix_from_quaternion(tool_quaternion)

    def _twist(self, deflections: Array, rotation: Array | None) -> Twist:
        config = self._config
        # Measured from the edge of the dead zone, so that motion starts without a step.
        beyond = (np.abs(deflections) - config.dead_zone) / (1.0 - config.dead_zone)
        strength = np.clip(beyond, 0.0, 1.0) ** config.exponent
        shaped = self._scale * np.sign(deflections) * strength
        linear = config.linear_speed_m_s * _into_unit_ball(shaped[:3])
        angular = config.angular_speed_rad_s * _into_unit_ball(shaped[3:])
        if rotation is None or rotation is _NO_ROTATION:
            return Twist(linear, angular)
        return Twist(rotation @ linear, rotation @ angular)


def _into_unit_ball(vector: Array) -> Array:
    """Return `vector`, scaled down to length 1 if longer: a diagonal is no faster than an axis."""
    return vector / max(1.0, float(np.linalg.norm(vector)))


def _is_down(state: PointerState, button: int) -> bool:
    return button < len(state.buttons) and state.buttons[button]
