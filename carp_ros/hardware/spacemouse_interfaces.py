"""Finds and reads the HID interfaces of a SpaceMouse.

One device can have several interfaces with the same vendor and product id: a wireless receiver has
five, and its mouse reports on one of them. Which one is unknown until it reports, so all of them
are opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.pointer_trust import RawState
from carp_ros.refusal import printable, refusing
from carp_ros.rig_pointers import SpaceMouseConfig

if TYPE_CHECKING:
    from easyhid import HIDDevice
    from pyspacemouse import DeviceInfo, SpaceMouseDevice, SpaceMouseState

QUEUE_LENGTH = 63  # reports that Linux queues per reader (HIDRAW_BUFFER_SIZE - 1)
_MULTI_AXIS_CONTROLLER = (0x01, 0x08)  # HID usage page and usage
_MAKER = 0x256F
_EARLIER_MAKER, _EARLIER_PRODUCTS = 0x046D, range(0xC600, 0xC700)  # sold by Logitech
# Report, byte and bit of the two large buttons, which all models have in common.
_LARGE_BUTTONS = {"LARGE_LEFT": (3, 1, 0), "LARGE_RIGHT": (3, 1, 1)}
_WISH = "episode_buttons."
_INSTALL = "run `sudo apt install libhidapi-hidraw0`"


@dataclass(frozen=True)
class Report:
    """The newest state of an interface.

    Attributes:
        axes, buttons: As pyspacemouse has them.
        indices: Index into `buttons` for each key of the rig file that names a button.
        axes_came, reported: Whether axes, or anything, came since the last call of `drain`.
        heard: Whether this interface has ever reported an axis or a button.
        lost: Whether reports may have been lost since.
    """

    axes: SpaceMouseState
    indices: Mapping[str, int]
    axes_came: bool
    reported: bool
    heard: bool
    lost: bool

    def state(self, *, axes_count: bool) -> RawState:
        """Return the state with its buttons by their use.

        Args:
            axes_count: Whether the axes are of now; else they are at zero.
        """
        axes, pressed = self.axes, self.axes.buttons
        deflections = np.array([axes.x, axes.y, axes.z, axes.roll, axes.pitch, axes.yaw])
        down = {key: bool(pressed[index]) for key, index in self.indices.items()}
        wishes = [key.removeprefix(_WISH) for key in down if key.startswith(_WISH) and down[key]]
        return RawState(
            deflections=deflections if axes_count else np.zeros(6),
            deadman=down["deadman_button"],
            gripper=down["gripper_button"],
            wishes=frozenset(wishes),  # pyright: ignore[reportArgumentType]
            reported=self.reported,
            heard=self.heard,
        )


class Interface:
    """One open HID interface.

    Attributes:
        name: pyspacemouse's name of the model.
        path: Path of the device file.
    """

    def __init__(self, spec: DeviceInfo, hid: HIDDevice, indices: Mapping[str, int]) -> None:
        """Open the interface.

        Raises:
            RuntimeError: If this user lacks permission, or another program has it open.
        """
        import pyspacemouse

        self.name = spec.name
        self.path = str(hid.path)
        self._indices = indices
        self._heard = False
        self._axes_came = self._reported = False
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

    def drain(self) -> Report:
        """Process waiting reports and return the newest state.

        Raises:
            HIDException: If the device is gone.
        """
        self._reports = taken = 0
        self._axes_came = self._reported = False
        state = self._device.read()  # processes one report per call
        while taken < self._reports < QUEUE_LENGTH:
            taken = self._reports
            state = self._device.read()
        return Report(
            axes=state,
            indices=self._indices,
            axes_came=self._axes_came,
            reported=self._reported,
            heard=self._heard,
            lost=self._reports == QUEUE_LENGTH,
        )

    def close(self) -> None:
        """Close the interface; may be called repeatedly."""
        self._device.close()

    def _on_report(self, _: SpaceMouseState) -> None:
        self._reports += 1

    def _on_axes(self, _: SpaceMouseState) -> None:
        self._heard = self._reported = self._axes_came = True

    def _on_button(self, *_: object) -> None:
        self._heard = self._reported = True


def open_interfaces(config: SpaceMouseConfig) -> list[Interface]:
    """Open every interface on which a SpaceMouse may report.

    Args:
        config: Path, model and buttons; a mouse without all of the buttons is ignored.

    Raises:
        DeviceError: If pyspacemouse or the hidapi library is not installed, no SpaceMouse is
            plugged in, this user may read none of them, or all lack a button.
    """
    try:
        import pyspacemouse  # imported here: needed only for teleoperation with a SpaceMouse
    except ImportError as error:
        raise DeviceError(f"{error}: run `pip install pyspacemouse`") from error
    except OSError as error:
        raise DeviceError(f"the hidapi library can't be loaded ({error}): {_INSTALL}") from error
    specs = pyspacemouse.get_device_specs()
    plugged = _all_plugged()
    announced = config.model == "announced"
    mice = _announced(specs, plugged) if announced else _of_model(config, specs, plugged)
    if not mice:
        raise _no_mouse(plugged, config)
    if config.hid_path:
        mice = _named(config.hid_path, mice)
    # Some hidapi versions report the usage: do not mistake a receiver's keyboard for its mouse.
    told = [m for m in mice if (m[1].usage_page, m[1].usage) == _MULTI_AXIS_CONTROLLER]
    mice = told or mice
    fit: list[tuple[DeviceInfo, HIDDevice, dict[str, int]]] = []
    lacking = ""
    for spec, hid in mice:
        try:
            fit.append((spec, hid, _indices(spec, config)))
        except DeviceError as error:
            lacking = lacking or str(error)
    if not fit:
        raise DeviceError(lacking)
    return _opened(fit)


def _all_plugged() -> list[HIDDevice]:
    from easyhid import Enumeration

    with refusing(DeviceError, "HID devices can't be listed"):
        try:
            return Enumeration().find()
        except AttributeError as error:
            raise DeviceError(f"the hidapi library is not installed: {_INSTALL}") from error


def _announced(
    specs: Mapping[str, DeviceInfo], plugged: list[HIDDevice]
) -> list[tuple[DeviceInfo, HIDDevice]]:
    """Return the devices that announce themselves as a model that pyspacemouse knows."""
    return [
        (spec, hid)
        for hid in plugged
        for spec in specs.values()
        if (hid.vendor_id, hid.product_id) == (spec.vendor_id, spec.product_id)
    ]


def _of_model(
    config: SpaceMouseConfig, specs: Mapping[str, DeviceInfo], plugged: list[HIDDevice]
) -> list[tuple[DeviceInfo, HIDDevice]]:
    """Return the devices that may be of the configured model, whatever they announce."""
    spec = specs.get(config.model)
    if spec is None:
        raise DeviceError(
            f"teleop.pointer.model is {config.model}, which this pyspacemouse does not know;"
            f" expected one of {', '.join(specs)}: choose one, or upgrade pyspacemouse"
        )
    if config.hid_path:
        return [(spec, hid) for hid in plugged]
    return [(spec, hid) for hid in plugged if _may_be_a_mouse(hid)]


def _may_be_a_mouse(hid: HIDDevice) -> bool:
    earlier = hid.vendor_id == _EARLIER_MAKER and hid.product_id in _EARLIER_PRODUCTS
    return hid.vendor_id == _MAKER or earlier


def _no_mouse(plugged: list[HIDDevice], config: SpaceMouseConfig) -> DeviceError:
    others = [f"{printable(str(hid.product_string or ''))} ({_ids(hid)})" for hid in plugged]
    unknown = config.model == "announced" and any(map(_may_be_a_mouse, plugged))
    remedy = (
        "; if one of these is a SpaceMouse, name the model whose reports it sends in"
        " teleop.pointer.model"
        if unknown
        else ""
    )
    return DeviceError(
        f"no SpaceMouse among the HID devices found ({', '.join(others) or 'none'}): plug one"
        f" in; in a container, pass /dev/hidraw* through{remedy}"
    )


def _indices(spec: DeviceInfo, config: SpaceMouseConfig) -> dict[str, int]:
    """Return pyspacemouse's index for each key that names a button.

    Raises:
        DeviceError: If the model lacks a button, or two keys name the same one.
    """
    known = {name: index for index, name in enumerate(spec.button_names)}
    for index, button in enumerate(spec.button_specs):
        for name, place in _LARGE_BUTTONS.items():
            if (button.channel, button.byte, button.bit) == place:
                known[name] = index
    for key, name in config.named_buttons.items():
        if name not in known:
            raise DeviceError(
                f"{spec.name} has {len(spec.button_specs)} buttons, and none is {name}, which"
                f" teleop.pointer.{key} asks for; expected one of"
                f" {', '.join(known) or 'none, so it has no dead-man'}: choose another, or another"
                " mouse"
            )
    indices = {key: known[name] for key, name in config.named_buttons.items()}
    keys = {index: key for key, index in indices.items()}
    for key, index in indices.items():
        if keys[index] != key:
            raise DeviceError(
                f"teleop.pointer.{key} and {keys[index]} are one button of the {spec.name},"
                f" {spec.button_names[index]}; expected a button of its own each"
            )
    return indices


def _named(
    path: str, mice: list[tuple[DeviceInfo, HIDDevice]]
) -> list[tuple[DeviceInfo, HIDDevice]]:
    named = [m for m in mice if os.path.realpath(str(m[1].path)) == os.path.realpath(path)]
    if not named:
        found = ", ".join(f"{hid.path} ({spec.name})" for spec, hid in mice)
        raise DeviceError(
            f"teleop.pointer.hid_path is {path}, but there is no SpaceMouse; found {found}: name"
            " one of them, or leave out hid_path to use the first one that reports"
        )
    return named


def _opened(mice: list[tuple[DeviceInfo, HIDDevice, dict[str, int]]]) -> list[Interface]:
    opened: list[Interface] = []
    refusal: RuntimeError | None = None
    for spec, hid, indices in mice:
        try:
            opened.append(Interface(spec, hid, indices))
        except RuntimeError as error:
            refusal = error
    if not opened:
        spec, hid, _ = mice[0]
        raise DeviceError(
            f"{spec.name} is plugged in but cannot be opened: close other programs that use it"
            f" (spacenavd), and let users read it: put the line {_udev_rule(hid)} into"
            " /etc/udev/rules.d/70-spacemouse.rules, then plug it in again"
        ) from refusal
    return opened


def _ids(hid: HIDDevice) -> str:
    return f"{hid.vendor_id:04x}:{hid.product_id:04x}"


def _udev_rule(hid: HIDDevice) -> str:
    ids = f'ATTRS{{idVendor}}=="{hid.vendor_id:04x}", ATTRS{{idProduct}}=="{hid.product_id:04x}"'
    return f'KERNEL=="hidraw*", {ids}, MODE="0666"'
