"""A gamepad as a pointer, through evdev.

evdev and not hidapi, because the kernel gives all gamepads, with a cable, a receiver or Bluetooth,
the same names and ranges, and tells the present state of each axis and button when asked. Over
hidapi each model has a layout of its own, and those of the Xbox are no HID devices at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.gamepad_axes import GamepadAxis
from carp_ros.hardware.gamepad_device import close_device, code_of, gamepad_at, name_of, the_gamepad
from carp_ros.hardware.pointer import REOPEN_PERIOD_NS
from carp_ros.hardware.pointer_trust import PointerTrust, RawState
from carp_ros.rig_pointers import GamepadConfig
from carp_ros.types import PointerFault, PointerState, Wish

if TYPE_CHECKING:
    from evdev import InputDevice

_MOST_READS = 32  # of up to 64 events each


class Gamepad:
    """A `Pointer` that reads a gamepad.

    It reports changes only, so a stick that is held still is as silent as one whose radio link is
    gone. A dead-man that is held without any report for `deadman_timeout_s` therefore counts as
    released.

    Args:
        config: Device file, axes, buttons and timeout.
        dead_zone: Deflections up to this count as untouched.
    """

    def __init__(self, config: GamepadConfig, dead_zone: float = 0.1) -> None:
        self._config = config
        self._trust = PointerTrust(dead_zone, config.deadman_timeout_s)
        self._device: InputDevice | None = None
        self._reopen_at_ns: int | None = None  # None: closed on purpose
        self._axes: tuple[GamepadAxis, ...] = ()
        self._codes: dict[str, int] = {}  # by key of the rig file
        self._values: dict[int, int] = {}  # of each axis
        self._pressed: set[int] = set()
        self._heard = self._reported = False
        self._dropped = False  # until the kernel says that events are whole again

    def open(self) -> None:
        """Find and open the gamepad.

        Raises:
            DeviceError: If evdev is not installed, none or several gamepads are plugged in, this
                user may not read it, or it lacks an axis or a button of the configuration.
        """
        self.close()
        try:
            device = gamepad_at(self._config.device) if self._config.device else the_gamepad()
            self._prepare(device)
        except OSError as error:
            raise DeviceError(
                f"an input device went away while it was opened ({error}): plug it in again"
            ) from error
        self._device, self._heard, self._dropped = device, False, False
        self._trust.distrust()

    def _prepare(self, device: InputDevice) -> None:
        """Find the configured axes and buttons, and ask for their state; on failure, close it.

        Raises:
            DeviceError: If it lacks an axis or a button of the configuration.
            OSError: If it is gone.
        """
        try:
            keys = set(device.capabilities(absinfo=False).get(code_of("EV_KEY"), ()))
            self._codes = {
                key: _found(name, keys, f"teleop.pointer.{key}", device)
                for key, name in self._config.named_buttons.items()
            }
            self._axes = tuple(GamepadAxis(text, device) for text in self._config.six_axes)
            self._query(device)
        except (DeviceError, OSError):
            close_device(device)
            raise

    def describe(self) -> str:
        """Return the gamepad's name and device file."""
        return f"{name_of(self._device)} at {self._device.path}" if self._device else "none"

    def read(self, now_ns: int) -> PointerState:
        """Process all waiting events and return the newest state. Never blocks, never raises.

        Tries to reopen an unplugged gamepad once a second.
        """
        if self._device is None:
            self._reopen_when_due(now_ns)
        if self._device is not None:
            try:
                self._drain(self._device)
            except OSError:
                self.close()
                self._reopen_at_ns = now_ns + REOPEN_PERIOD_NS
        if self._device is None:
            return PointerState(np.zeros(6), (False, False), connected=False)
        return self._trust.judge(self._state(), now_ns)

    def close(self) -> None:
        """Close the gamepad; `read` then reports it as not connected."""
        if self._device is not None:
            close_device(self._device)
        self._device = None
        self._reopen_at_ns = None

    def _reopen_when_due(self, now_ns: int) -> None:
        if self._reopen_at_ns is None or now_ns < self._reopen_at_ns:
            return
        try:
            self.open()
        except DeviceError:
            self._reopen_at_ns = now_ns + REOPEN_PERIOD_NS

    def _query(self, device: InputDevice) -> None:
        """Ask the kernel for the present state."""
        self._pressed = set(device.active_keys())
        codes = {code for axis in self._axes for code in axis.codes}
        self._values = {code: device.absinfo(code).value for code in codes}

    def _drain(self, device: InputDevice) -> None:
        """Process waiting events; ask for the state if the kernel had to drop some.

        Raises:
            OSError: If the device is gone.
        """
        from evdev import ecodes

        self._reported = False
        for _ in range(_MOST_READS):
            try:
                events = list(device.read())
            except BlockingIOError:
                return
            self._heard = self._reported = True
            for event in events:
                if event.type == ecodes.EV_SYN and event.code == ecodes.SYN_DROPPED:
                    self._dropped = True
                    self._trust.distrust(PointerFault.REPORTS_LOST)
                elif self._dropped:
                    if event.type == ecodes.EV_SYN and event.code == ecodes.SYN_REPORT:
                        self._dropped = False
                        self._query(device)
                elif event.type == ecodes.EV_ABS and event.code in self._values:
                    self._values[event.code] = event.value
                elif event.type == ecodes.EV_KEY:
                    (self._pressed.add if event.value else self._pressed.discard)(event.code)

    def _state(self) -> RawState:
        down = {key: code in self._pressed for key, code in self._codes.items()}
        wishes: list[Wish] = [
            wish for wish in self._config.episode_buttons if down[f"episode_buttons.{wish}"]
        ]
        return RawState(
            deflections=np.array([axis.deflection(self._values) for axis in self._axes]),
            deadman=down["deadman_button"],
            gripper=down["gripper_button"],
            wishes=frozenset(wishes),
            reported=self._reported,
            heard=self._heard,
        )


def _found(name: str, keys: set[int], key: str, device: InputDevice) -> int:
    code = code_of(name)
    if code not in keys:
        from evdev import ecodes

        names = sorted(_first(ecodes.BTN[known]) for known in keys if known in ecodes.BTN)
        raise DeviceError(
            f"{name_of(device)} has no button {name}, which {key} asks for; expected one of"
            f" {', '.join(names)}"
        )
    return code


def _first(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else names[0]
