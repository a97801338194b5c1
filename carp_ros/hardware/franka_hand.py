"""A Franka Hand through franky-control: width in [m] on the device, closure from 0 to 1 here."""

from __future__ import annotations

from contextlib import suppress

import franky

from carp_ros.errors import DeviceError
from carp_ros.hardware.franka_link import FRANKY_ERRORS, HAND_PORT, one_line
from carp_ros.rig_devices import FrankaHandConfig
from carp_ros.types import GripperState

_END_S = 1.0
# Destroying a gripper during a request crashes the interpreter: franky's thread still uses it.
_UNFINISHED: list[tuple[franky.Gripper, franky.BoolFuture]] = []
_HELD_M = 0.003  # fingers that stop this far before a grasp's width hold something
_SMALLEST_MOVE_M = 0.0005


class FrankaHand:
    """One hand; only one thread at a time may call it.

    Closing is a grasp, which presses with `force_n` on what it meets; opening is a move. A new
    request stops the one under way.

    Args:
        config: The rig's `gripper` section.
    """

    def __init__(self, config: FrankaHandConfig) -> None:
        self._config = config
        self._gripper: franky.Gripper | None = None
        self._running: franky.BoolFuture | None = None
        self._wanted_m: float | None = None

    def connect(self) -> None:
        """Open the link; a hand that does not know its width yet opens and closes once.

        Raises:
            DeviceError: If nothing answers or homing fails.
        """
        self.close()
        with one_line(self._name, self._config.host, HAND_PORT):
            gripper = franky.Gripper(self._config.host)
            if gripper.state.max_width <= 0.0 and not gripper.homing():
                raise DeviceError(f"{self._name} could not be homed; free its fingers")
        self._gripper = gripper

    def move(self, closure: float) -> None:
        """Start moving to `closure`, 0 open to 1 closed, and return at once.

        Raises:
            DeviceError: If the link is gone or the hand refuses.
        """
        gripper = self._require_gripper()
        c = self._config
        with one_line(self._name):
            state = gripper.state
            width_m = state.max_width * (1.0 - min(max(closure, 0.0), 1.0))
            self._stop(gripper)
            if width_m < state.width - _SMALLEST_MOVE_M:
                any_m = state.max_width  # whatever is met counts as grasped
                self._running = gripper.grasp_async(width_m, c.speed_m_s, c.force_n, any_m, any_m)
            else:
                self._running = gripper.move_async(width_m, c.speed_m_s)
        self._wanted_m = width_m

    def read(self) -> GripperState:
        """Return the newest state.

        Raises:
            DeviceError: If the link is gone or the last request failed.
        """
        gripper = self._require_gripper()
        with one_line(self._name):
            if self._running is not None and self._running.wait(0.0):
                running, self._running = self._running, None
                running.get()  # raises what the request raised; False means that it was held up
            state = gripper.state
        if state.max_width <= 0.0:
            raise DeviceError(f"{self._name} does not know its width; home it in Desk")
        closure = min(max(1.0 - state.width / state.max_width, 0.0), 1.0)
        short_m = 0.0 if self._wanted_m is None else state.width - self._wanted_m
        return GripperState(closure, bool(state.is_grasped) and short_m > _HELD_M)

    def close(self) -> None:
        """End the request under way and close the link; the fingers stay as they are."""
        gripper, running = self._gripper, self._running
        self._gripper = self._running = self._wanted_m = None
        if gripper is None or running is None or running.wait(0.0):
            return
        with suppress(*FRANKY_ERRORS):
            gripper.stop()
        if not running.wait(_END_S):
            _UNFINISHED.append((gripper, running))

    @property
    def _name(self) -> str:
        return f"the hand at {self._config.host}"

    def _require_gripper(self) -> franky.Gripper:
        if self._gripper is None:
            raise DeviceError(f"no link to {self._name}; connect first")
        return self._gripper

    def _stop(self, gripper: franky.Gripper) -> None:
        """End the request under way, which then raises that it was aborted."""
        running, self._running = self._running, None
        if running is None:
            return
        if not running.wait(0.0):
            gripper.stop()
        with suppress(*FRANKY_ERRORS):
            running.get()
