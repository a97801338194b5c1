"""Finds and reads the HID interfaces of a SpaceMouse.

One device can have several interfaces with the same vendor and product id: a wireless receiver has
five, and its mouse reports on one of them. Which one is unknown until it reports, so all of them
are opened.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from carp_ros.errors import DeviceError

if TYPE_CHECKING:
    from easyhid import HIDDevice
    from pyspacemouse import DeviceInfo, SpaceMouseDevice, SpaceMouseState

QUEUE_LENGTH = 63  # reports that Linux queues per reader (HIDRAW_BUFFER_SIZE - 1)
_MULTI_AXIS_CONTROLLER = (0x01, 0x08)  # HID usage page and usage


class Interface:
    """One open HID interface.

    Attributes:
        name: pyspacemouse's name of the model.
        path: Path of the device file.
        buttons: Number of buttons of the model.
        spoke: Whether this interface has ever reported an axis or a button.
        axes_came: Whether axes were reported since this was last set to False.
    """

    def __init__(self, spec: DeviceInfo, hid: HIDDevice) -> None:
        """Open the interface.

        Raises:
            RuntimeError: If this user lacks permission, or another program has it open.
        """
        import pyspacemouse

        self.name = spec.name
        self.path = str(hid.path)
        self.buttons = len(spec.button_specs)
        self.spoke = False
        self.axes_came = False
        self._reports = 0  # processed by the current `drain`
        ros_axes = pyspacemouse.AxisConvention.ROS
        self._device: SpaceMouseDevice = pyspacemouse.SpaceMouseDevice(
            info=pyspacemouse.apply_axis_convention(spec, ros_axes), device=hid
        )
        self._device.configure(
            callback=self._on_report,
            dof_callback=self._on_axes,
            button_callback=self._on_button,
        )
        self._device.open()
        hid.set_nonblocking(True)

    def drain(self) -> tuple[SpaceMouseState, bool]:
        """Process waiting reports; return the newest state and whether some may have been lost.

        Raises:
            HIDException: If the device is gone.
        """
        self._reports = taken = 0
        state = self._device.read()  # processes one report per call
        while taken < self._reports < QUEUE_LENGTH:
            taken = self._reports
            state = self._device.read()
        return state, self._reports == QUEUE_LENGTH

    def close(self) -> None:
        """Close the interface; may be called repeatedly."""
        self._device.close()

    def _on_report(self, _: SpaceMouseState) -> None:
        self._reports += 1

    def _on_axes(self, _: SpaceMouseState) -> None:
        self.spoke = self.axes_came = True

    def _on_button(self, *_: object) -> None:
        self.spoke = True


def open_interfaces(path: str, least_buttons: int) -> list[Interface]:
    """Open every interface on which a SpaceMouse may report.

    Args:
        path: Path of the interface to use, such as `/dev/hidraw3` or a link to it; empty for all.
        least_buttons: Minimum number of buttons; a mouse with fewer is ignored.

    Raises:
        DeviceError: If pyspacemouse or the hidapi library is not installed, no SpaceMouse is
            plugged in, this user may read none of them, or all have too few buttons.
    """
    try:
        import pyspacemouse  # imported here: needed only for teleoperation with a SpaceMouse
    except ImportError as error:
        raise DeviceError(f"{error}: run `pip install pyspacemouse`") from error
    specs = pyspacemouse.get_device_specs().values()
    plugged = _all_plugged()
    mice = [
        (spec, hid)
        for hid in plugged
        for spec in specs
        if (hid.vendor_id, hid.product_id) == (spec.vendor_id, spec.product_id)
    ]
    if not mice:
        others = [f"{hid.product_string or ''} ({_ids(hid)})" for hid in plugged]
        raise DeviceError(
            f"no SpaceMouse among the HID devices found ({', '.join(others) or 'none'}): plug one"
            " in; in a container, pass /dev/hidraw* through"
        )
    # Some hidapi versions report the usage: do not mistake a receiver's keyboard for its mouse.
    told = [m for m in mice if (m[1].usage_page, m[1].usage) == _MULTI_AXIS_CONTROLLER]
    mice = told or mice
    if path:
        mice = _named(path, mice)
    fit = [(spec, hid) for spec, hid in mice if len(spec.button_specs) >= least_buttons]
    if not fit:
        spec = mice[0][0]
        raise DeviceError(
            f"{spec.name} has {len(spec.button_specs)} buttons; teleop.deadman_button or"
            f" gripper_button asks for number {least_buttons - 1}, counted from 0: choose others or"
            " another mouse"
        )
    return _opened(fit)


def _all_plugged() -> list[HIDDevice]:
    from easyhid import Enumeration

    try:
        return Enumeration().find()
    except AttributeError as error:
        raise DeviceError(
            "the hidapi library is not installed: run `sudo apt install libhidapi-hidraw0`"
        ) from error


def _named(
    path: str, mice: list[tuple[DeviceInfo, HIDDevice]]
) -> list[tuple[DeviceInfo, HIDDevice]]:
    named = [m for m in mice if os.path.realpath(str(m[1].path)) == os.path.realpath(path)]
    if not named:
        found = ", ".join(f"{hid.path} ({spec.name})" for spec, hid in mice)
        raise DeviceError(
            f"teleop.hid_path is {path}, but there is no SpaceMouse; found {found}: name one of"
            " them, or leave out hid_path to use the first one that reports"
        )
    return named


def _opened(mice: list[tuple[DeviceInfo, HIDDevice]]) -> list[Interface]:
    opened: list[Interface] = []
    refusal: RuntimeError | None = None
    for spec, hid in mice:
        try:
            opened.append(Interface(spec, hid))
        except RuntimeError as error:
            refusal = error
    if not opened:
        spec = mice[0][0]
        raise DeviceError(
            f"{spec.name} is plugged in but cannot be opened: close other programs that use it"
            f" (spacenavd), and let users read it: put the line {_udev_rule(spec)} into"
            " /etc/udev/rules.d/70-spacemouse.rules, then plug it in again"
        ) from refusal
    return opened


def _ids(hid: HIDDevice) -> str:
    return f"{hid.vendor_id:04x}:{hid.product_id:04x}"


def _udev_rule(spec: DeviceInfo) -> str:
    ids = f'ATTRS{{idVendor}}=="{spec.vendor_id:04x}", ATTRS{{idProduct}}=="{spec.product_id:04x}"'
    return f'KERNEL=="hidraw*", {ids}, MODE="0666"'
