"""The pointer of a rig, by its driver."""

from __future__ import annotations

from carp_ros.hardware.gamepad import Gamepad
from carp_ros.hardware.pointer import Pointer
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig_pointers import GamepadConfig
from carp_ros.rig_sections import TeleopConfig


def pointer_of(teleop: TeleopConfig) -> Pointer:
    """Return the pointer that a rig names, not yet opened."""
    if isinstance(teleop.pointer, GamepadConfig):
        return Gamepad(teleop.pointer, teleop.dead_zone)
    return SpaceMouse(teleop.pointer, teleop.dead_zone)
