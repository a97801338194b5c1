"""The pointer interface that teleoperation uses."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import PointerState

REOPEN_PERIOD_NS = 1_000_000_000
"""Time between attempts to open a device that was unplugged."""


class Pointer(Protocol):
    """A six-axis input device with buttons."""

    def open(self) -> None:
        """Find and open the device.

        Raises:
            DeviceError: If none is found; says what to check.
        """
        ...

    def describe(self) -> str:
        """Return the model and device file being read; `none` if none is."""
        ...

    def read(self, now_ns: int) -> PointerState:
        """Process all waiting reports and return the newest state. Never blocks, never raises."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...
