"""What the control node needs of a gripper."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import GripperState


class Gripper(Protocol):
    """One gripper. Calls may wait for the device, so they belong on their own thread."""

    def connect(self) -> None:
        """Open the link and activate the fingers if they are not.

        Raises:
            DeviceError: If nothing answers or activation fails.
        """
        ...

    def move(self, closure: float) -> None:
        """Start towards `closure`, 0 open to 1 closed, and return at once.

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
