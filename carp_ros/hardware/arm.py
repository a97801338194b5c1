"""The arm interface that the servo uses."""

from __future__ import annotations

from typing import Protocol

from carp_ros.types import ArmState, Array


class Arm(Protocol):
    """One arm that follows streamed joint targets; used by a single thread of a single process.

    A driver never moves the arm by itself: not on connect, not after a fault, not on recovery. It
    maps its controller's safety state to a `SafetyState` and adds an explanation in its own terms.
    """

    def connect(self) -> None:
        """Open the link and make the arm ready to follow targets, without moving it.

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
        """Send a joint target of shape (J,) in [rad]; the next call follows one servo period later.

        Raises:
            DeviceError: If the target was not accepted. `read` tells what the arm actually does.
        """
        ...

    def start_guiding(self) -> None:
        """Let a person move the arm by hand, which carries its own weight.

        From now on `keep_guiding` is called in place of `servo`. If those calls cease, the arm
        holds its pose.

        Raises:
            DeviceError: If the arm refuses; it may be free nonetheless, until `end_guiding`.
        """
        ...

    def keep_guiding(self) -> None:
        """Tell the arm that a person may go on, or that `servo` will follow soon.

        Raises:
            DeviceError: If the link is gone, or the arm does not accept it.
        """
        ...

    def end_guiding(self) -> None:
        """Hold the arm where it is. `keep_guiding` goes on until it stands, then `servo`.

        Does nothing if the arm is not guided.

        Raises:
            DeviceError: If the arm did not confirm it; only `recover` leads on.
        """
        ...

    def recover(self) -> None:
        """Clear a stop raised by the arm's own safety system and make it ready, without moving it.

        Blocks for up to `recovery_s` of the arm's section (`rig_devices.py`); watchdogs must allow
        for that. It may power the arm up and release its brakes. The caller must then seed its
        reference from `read`.

        Raises:
            DeviceError: If the arm refuses, with its reason (too early, e-stop still pressed).
        """
        ...

    def close(self) -> None:
        """Leave the arm standing still and close the link."""
        ...
