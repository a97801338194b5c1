"""The gripper interface that the control node uses."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import GripperState


class Gripper(Protocol):
    """One gripper. Calls may block on the device, so make them from a separate thread."""

    def connect(self) -> None:
        """Open the link and activate the gripper if it is not active.

        Raises:
            DeviceError: If nothing answers or activation fails.
        """
        ...

    def move(self, closure: float) -> None:
        """Start moving to `closure`, 0 open to 1 closed, and return at once.

        Raises:
            DeviceError: If the link is gone or the gripper reports a fault.
        """
        ...

    def read(self) -> GripperState:
        """Return the newest state.

        Raises:
            DeviceError: If the link is gone or the gripper reports a fault.
        """
        ...

    def close(self) -> None:
        """Close the link; the fingers stay as they are."""
        ...
