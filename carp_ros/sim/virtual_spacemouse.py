"""A virtual SpaceMouse for the scripted operator, which sends the HID reports of a real model."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from carp_ros.sim.virtual_hidapi import VirtualHidapi
from carp_ros.types import Array

_COUNTS = 350  # the device's reading at full deflection
_TRANSLATION, _ROTATION, _BUTTONS = 1, 2, 3  # report numbers


class VirtualSpaceMouse:
    """A SpaceMouse Compact moved by software.

    Like the real one, it reports deflections while it is off centre and once when it returns to the
    centre, and buttons when they change.
    """

    def __init__(self) -> None:
        self._hidapi = VirtualHidapi(0x256F, 0xC635, "SpaceMouse Compact")
        self._centred = True
        self._pressed = 0

    def install(self) -> None:
        """Become the only HID device that this process finds; real ones are hidden."""
        self._hidapi.install()

    def move(self, deflections: Array, buttons: Sequence[bool]) -> None:
        """Send the reports for these deflections and buttons.

        Args:
            deflections: x, y, z, roll, pitch, yaw, each -1 to 1, in ROS axes, of shape (6,).
            buttons: Whether the left and the right button are pressed.
        """
        counts = np.rint(_COUNTS * np.clip(deflections, -1.0, 1.0)).astype(int).tolist()
        x, y, z, roll, pitch, yaw = counts
        centred = not any(counts)
        if not (centred and self._centred):
            # HID axes point right, towards the user and down; ROS axes forward, left and up.
            self._hidapi.send(struct.pack("<B3h", _TRANSLATION, -y, -x, -z))
            self._hidapi.send(struct.pack("<B3h", _ROTATION, -pitch, -roll, -yaw))
        self._centred = centred
        pressed = sum(1 << bit for bit, down in enumerate(buttons) if down)
        if pressed != self._pressed:
            self._hidapi.send(struct.pack("<BH", _BUTTONS, pressed))
        self._pressed = pressed

    def unplug(self) -> None:
        """Unplug the device."""
        self._hidapi.unplug()

    def plug(self) -> None:
        """Plug it in again; buttons that are pressed are reported at the next `move`."""
        self._hidapi.plug()
        self._pressed = 0
