"""Axes of a gamepad as deflections from -1 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from carp_ros.errors import DeviceError
from carp_ros.hardware.gamepad_device import code_of, name_of

if TYPE_CHECKING:
    from evdev import AbsInfo, InputDevice


class GamepadAxis:
    """One direction that a gamepad steers.

    Args:
        text: As in the rig file: `-ABS_Y` for one axis about its centre, `ABS_RZ-ABS_Z` for the
            difference of two that rest at their minimum.
        device: The gamepad, which tells the range of each axis.

    Attributes:
        codes: The kernel's number of each axis.

    Raises:
        DeviceError: If the gamepad lacks an axis, or tells no range for it.
    """

    def __init__(self, text: str, device: InputDevice) -> None:
        self._sign = -1.0 if text.startswith("-") else 1.0
        names = text.removeprefix("-").split("-")
        self.codes = tuple(code_of(name) for name in names)
        told: Any = device.capabilities().get(code_of("EV_ABS"), ())  # evdev's types are wrong here
        known: dict[int, AbsInfo] = dict(told)
        self._ranges: list[AbsInfo] = []
        for name, code in zip(names, self.codes):
            info = known.get(code)
            if info is None or info.max <= info.min:
                raise DeviceError(
                    f"{name_of(device)} has no axis {name}, which teleop.pointer.axes asks for;"
                    f" expected axes that it has, as evtest {device.path} lists them"
                )
            self._ranges.append(info)

    def deflection(self, values: Mapping[int, int]) -> float:
        """Return the deflection for the values of all axes, -1 to 1."""
        if len(self.codes) == 2:
            first, second = (
                (values[code] - info.min) / (info.max - info.min)
                for code, info in zip(self.codes, self._ranges)
            )
            return first - second
        (info,) = self._ranges
        centre = 0.5 * (info.min + info.max)
        off = values[self.codes[0]] - centre
        # The kernel says how far a stick may rest from its centre.
        return 0.0 if abs(off) <= info.flat else self._sign * off / (info.max - centre)
