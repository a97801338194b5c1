"""The 3Dconnexion SpaceMouse, through pyspacemouse and hidapi."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.rig import TeleopConfig
from carp_ros.types import PointerState

if TYPE_CHECKING:
    from pyspacemouse import DeviceInfo, SpaceMouseDevice, SpaceMouseState

_REOPEN_PERIOD_NS = 1_000_000_000
_QUEUE_LENGTH = 63  # what Linux keeps for a reader (HIDRAW_BUFFER_SIZE - 1); later ones are lost


class SpaceMouse:
    """A `Pointer` on the first SpaceMouse that is plugged in.

    The mouse sends deflections many times a second while it is off centre, but each button only
    when it changes. So deflections that are not renewed count as zero, while a button stays as it
    was. When a change may have been missed (the mouse was unplugged, or its queue overflowed while
    nobody read), the mouse counts as untouched until it really was, for `report_timeout_s`.

    Args:
        config: Buttons that the mouse must have, dead zone and report timeout.
    """

    def __init__(self, config: TeleopConfig) -> None:
        self._config = config
        self._timeout_ns = round(config.report_timeout_s * 1e9)
        self._device: SpaceMouseDevice | None = None
        self._reopen_at_ns: int | None = None  # None: closed on purpose
        self._reports = 0  # taken in by the current read
        self._axes_came = False
        self._axes_at_ns = 0
        self._trusted = True
        self._untouched_since_ns: int | None = None

    def open(self) -> None:
        """Find and open the mouse.

        Raises:
            DeviceError: If pyspacemouse or the hidapi library is not installed, no SpaceMouse is
                plugged in, this user may not read it, or it has too few buttons.
        """
        self.close()
        try:
            import pyspacemouse  # here, because only teleoperation with a mouse needs it
        except ImportError as error:
            raise DeviceError(f"{error}: run `pip install pyspacemouse`") from error
        name = _find_model()
        try:
            device = pyspacemouse.open(
                device=name,
                axis_convention=pyspacemouse.AxisConvention.ROS,
                callback=self._on_report,
                dof_callback=self._on_axes,
            )
        except RuntimeError as error:
            spec = pyspacemouse.get_device_specs()[name]
            raise DeviceError(
                f"{name} is plugged in but cannot be opened: close other programs that use it"
                f" (spacenavd), and let users read it: put the line {_udev_rule(spec)} into"
                " /etc/udev/rules.d/70-spacemouse.rules, then plug it in anew"
            ) from error
        buttons = len(device.info.button_specs)
        last = max(self._config.deadman_button, self._config.gripper_button)
        if last >= buttons:
            device.close()
            raise DeviceError(
                f"{name} has {buttons} buttons; teleop.deadman_button or gripper_button asks for"
                f" number {last}, counted from 0: choose others or another mouse"
            )
        self._device = device

    def read(self, now_ns: int) -> PointerState:
        """Return the newest state, all waiting reports taken in. Never blocks, never raises.

        After the mouse was unplugged, looks for it once a second.
        """
        if self._device is None:
            self._reopen_when_due(now_ns)
        state = self._drain(self._device, now_ns) if self._device else None
        if state is None:
            return PointerState(np.zeros(6), (), connected=False)
        if self._axes_came:
            self._axes_at_ns, self._axes_came = now_ns, False
        axes = np.array([state.x, state.y, state.z, state.roll, state.pitch, state.yaw])
        stale = now_ns - self._axes_at_ns > self._timeout_ns
        deflections = np.zeros(6) if stale else np.clip(axes, -1.0, 1.0)
        buttons = tuple(bool(pressed) for pressed in state.buttons)
        touched = any(buttons) or bool((np.abs(deflections) > self._config.dead_zone).any())
        if not self._is_trusted(touched, now_ns):
            return PointerState(np.zeros(6), (False,) * len(buttons), connected=True)
        return PointerState(deflections, buttons, connected=True)

    def close(self) -> None:
        """Close the mouse; `read` then reports it as not connected."""
        if self._device is not None:
            self._device.close()
        self._device = None
        self._reopen_at_ns = None

    def _reopen_when_due(self, now_ns: int) -> None:
        if self._reopen_at_ns is None or now_ns < self._reopen_at_ns:
            return
        try:
            self.open()
        except DeviceError:
            self._reopen_at_ns = now_ns + _REOPEN_PERIOD_NS
        else:
            self._distrust()

    def _drain(self, device: SpaceMouseDevice, now_ns: int) -> SpaceMouseState | None:
        """Take in what waits and return the newest state, or None if the mouse is gone."""
        from easyhid import HIDException

        self._reports = taken = 0
        try:
            state = device.read()  # takes in one report a call
            while taken < self._reports < _QUEUE_LENGTH:
                taken = self._reports
                state = device.read()
        except HIDException:
            self.close()
            self._reopen_at_ns = now_ns + _REOPEN_PERIOD_NS
            return None
        if self._reports == _QUEUE_LENGTH:
            self._distrust()
        return state

    def _distrust(self) -> None:
        self._trusted = False
        self._untouched_since_ns = None

    def _is_trusted(self, touched: bool, now_ns: int) -> bool:
        """Return whether the state counts: always, until a change may have been missed."""
        if touched:
            self._untouched_since_ns = None
        elif self._untouched_since_ns is None:
            self._untouched_since_ns = now_ns
        elif now_ns - self._untouched_since_ns >= self._timeout_ns:
            self._trusted = True
        return self._trusted

    def _on_report(self, _: SpaceMouseState) -> None:
        self._reports += 1

    def _on_axes(self, _: SpaceMouseState) -> None:
        self._axes_came = True


def _find_model() -> str:
    """Return pyspacemouse's name of the first model that is plugged in."""
    import pyspacemouse

    try:
        models = pyspacemouse.get_connected_devices()
    except RuntimeError as error:
        raise DeviceError(
            "the hidapi library is not installed: run `sudo apt install libhidapi-hidraw0`"
        ) from error
    if not models:
        others = [f"{n} ({v:04x}:{p:04x})" for n, _, v, p in pyspacemouse.get_all_hid_devices()]
        raise DeviceError(
            f"no SpaceMouse among the HID devices found ({', '.join(others) or 'none'}): plug one"
            " in; in a container, pass /dev/hidraw* through"
        )
    return models[0]


def _udev_rule(spec: DeviceInfo) -> str:
    ids = f'ATTRS{{idVendor}}=="{spec.vendor_id:04x}", ATTRS{{idProduct}}=="{spec.product_id:04x}"'
    return f'KERNEL=="hidraw*", {ids}, MODE="0666"'
