"""What teleoperation needs of a pointer."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import PointerState


class Pointer(Protocol):
    """A six-axis input device with buttons."""

    def open(self) -> None:
        """Find and open the device.

        Raises:
            DeviceError: If none is found, with what to check.
        """
        ...

    def read(self, now_ns: int) -> PointerState:
        """Return the newest state, all waiting reports taken in. Never blocks, never raises."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...
