"""The pointer interface that teleoperation uses."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import PointerState


class Pointer(Protocol):
    """A six-axis input device with buttons."""

    def open(self) -> None:
        """Find and open the device.

        Raises:
            DeviceError: If none is found; says what to check.
        """
        ...

    def read(self, now_ns: int) -> PointerState:
        """Process all waiting reports and return the newest state. Never blocks, never raises."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...
