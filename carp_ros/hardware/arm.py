"""What the servo needs of an arm."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import ArmState, Array


class Arm(Protocol):
    """One arm that follows streamed joint targets. One thread, one process, may use it.

    A driver never moves the arm by itself: not on connect, not after a fault, not on recovery. It
    maps what its controller says to a `SafetyState`, and explains it beside that in its own words.
    """

    def connect(self) -> None:
        """Open the link and make the arm ready to follow targets, without motion.

        Raises:
            DeviceError: If nothing answers, or the arm refuses (not powered, not in remote mode).
        """
        ...

    def read(self) -> ArmState:
        """Return the newest state, without waiting for a new one.

        Raises:
            DeviceError: If the link is gone.
        """
        ...

    def servo(self, joints: Array) -> None:
        """Follow a joint target of shape (J,) in [rad] until the next call, one servo period on.

        Raises:
            DeviceError: If the target was not accepted. What the arm really does is in `read`.
        """
        ...

    def recover(self) -> None:
        """Clear a stop that the arm's own safety raised and make it ready again, without motion.

        Blocks for up to `recovery_s` of its section (`rig_devices.py`): whoever watches it waits
        that long. It may power the arm up and release its brakes. The caller then seeds its
        reference from `read`.

        Raises:
            DeviceError: If the arm refuses, with its reason (too early, e-stop still pressed).
        """
        ...

    def close(self) -> None:
        """Leave the arm standing still and close the link."""
        ...
