"""Finds the device file of a gamepad."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from carp_ros.errors import DeviceError
from carp_ros.refusal import printable

if TYPE_CHECKING:
    from evdev import InputDevice

_MAY_NOT_READ = (
    "put docker/udev/70-carp.rules into /etc/udev/rules.d or become a member of the group input,"
    " then plug it in again; in a container, pass /dev/input through"
)


def code_of(name: str) -> int:
    """Return the kernel's number of an axis, button or event type.

    Raises:
        DeviceError: If evdev is not installed, or the kernel has none of that name.
    """
    _require_evdev()
    from evdev import ecodes

    code = ecodes.ecodes.get(name)
    if code is None:
        raise DeviceError(
            f"teleop.pointer names {name}, which is no axis or button of Linux; expected a name of"
            " linux/input-event-codes.h, as ABS_X or BTN_SOUTH"
        )
    return code


def the_gamepad() -> InputDevice:
    """Return the only gamepad that is plugged in, opened.

    Raises:
        DeviceError: If evdev is not installed, or there is not just one that this user may read.
        OSError: If one goes away while they are listed.
    """
    _require_evdev()
    import evdev

    found: list[InputDevice] = []
    for path in sorted(evdev.list_devices(writable=False)):
        try:
            device = evdev.InputDevice(path, readonly=True)
        except OSError:  # it went away, or another user's
            continue
        if _is_gamepad(device):
            found.append(device)
        else:
            close_device(device)
    if len(found) == 1:
        return found[0]
    for device in found:
        close_device(device)
    if found:
        names = ", ".join(f"{device.path} ({name_of(device)})" for device in found)
        raise DeviceError(f"found {names}; name one of them in teleop.pointer.device")
    raise DeviceError(
        f"no gamepad among the input devices that this user may read: plug one in; {_MAY_NOT_READ}"
    )


def gamepad_at(path: str) -> InputDevice:
    """Return the gamepad with this device file, opened.

    Raises:
        DeviceError: If evdev is not installed, or there is no gamepad that this user may read.
    """
    _require_evdev()
    import evdev

    try:
        device = evdev.InputDevice(path, readonly=True)
    except PermissionError as error:
        raise DeviceError(f"{path} may not be read by this user: {_MAY_NOT_READ}") from error
    except OSError as error:
        raise DeviceError(
            f"teleop.pointer.device is {path}: {error.strerror}; expected a gamepad's device file,"
            " as /dev/input/by-id/...-event-joystick: plug it in"
        ) from error
    if not _is_gamepad(device):
        close_device(device)
        raise DeviceError(
            f"teleop.pointer.device is {path}, {name_of(device)}, which is no gamepad; expected one"
            " with BTN_SOUTH and ABS_X, as ...-event-joystick"
        )
    return device


def name_of(device: InputDevice) -> str:
    """Return the name that a device gives itself, in printable form."""
    return printable(device.name)


def close_device(device: InputDevice) -> None:
    """Close a device, which may be gone already."""
    with contextlib.suppress(OSError):
        device.close()


def _is_gamepad(device: InputDevice) -> bool:
    known = device.capabilities(absinfo=False)
    keys, axes = known.get(code_of("EV_KEY"), ()), known.get(code_of("EV_ABS"), ())
    return code_of("BTN_SOUTH") in keys and code_of("ABS_X") in axes


def _require_evdev() -> None:
    try:
        import evdev  # noqa: F401 - imported here: needed only for a gamepad
    except ImportError as error:
        raise DeviceError(f"{error}: run `pip install 'carp_ros[gamepad]'`") from error
