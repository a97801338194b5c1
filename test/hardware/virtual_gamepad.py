"""A gamepad without the kernel: events are real bytes, read by evdev's own C code from a FIFO.

Emulated is what only a device file can do: to be found, and to answer the ioctls that ask for
names, ranges and the present state. The FIFO blocks, overflows and ends as the device file does.
"""

from __future__ import annotations

import errno
import os
import struct
from types import SimpleNamespace

import evdev
import evdev.device
import evdev.eventio
from evdev import ecodes

_EVENT = "llHHi"
# As the kernel's xpad driver has them: minimum, maximum, fuzz, flat.
XBOX_AXES = {
    **{name: (-32768, 32767, 16, 128) for name in ("ABS_X", "ABS_Y", "ABS_RX", "ABS_RY")},
    **{name: (0, 1023, 0, 0) for name in ("ABS_Z", "ABS_RZ")},
    **{name: (-1, 1, 0, 0) for name in ("ABS_HAT0X", "ABS_HAT0Y")},
}
XBOX_BUTTONS = (
    *("BTN_SOUTH", "BTN_EAST", "BTN_NORTH", "BTN_WEST", "BTN_TL", "BTN_TR"),
    *("BTN_SELECT", "BTN_START", "BTN_MODE", "BTN_THUMBL", "BTN_THUMBR"),
)


class VirtualGamepad:
    """A gamepad with a device file, which answers as Linux does."""

    def __init__(self, path, axes=None, buttons=XBOX_BUTTONS, name="Xbox Wireless Controller"):
        self.path, self.name = str(path), name
        self.axes = {ecodes.ecodes[axis]: of for axis, of in (axes or XBOX_AXES).items()}
        self.buttons = [ecodes.ecodes[button] for button in buttons]
        self.values = {code: 0 if low < 0 else low for code, (low, *_) in self.axes.items()}
        self.pressed: set[int] = set()
        self.plugged = True
        os.mkfifo(self.path)
        self._writer = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def move(self, **axes: float) -> None:
        """Move axes to a share of their range: -1 to 1 for a stick, 0 to 1 for a trigger."""
        for name, share in axes.items():
            code = ecodes.ecodes[name]
            low, high, *_ = self.axes[code]
            centre = 0.5 * (low + high) if low < 0 else low
            self.values[code] = round(centre + share * (high - centre))
            self.send(ecodes.EV_ABS, code, self.values[code])
        self.send(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)

    def press(self, name: str, down: bool = True) -> None:
        code = ecodes.ecodes[name]
        (self.pressed.add if down else self.pressed.discard)(code)
        self.send(ecodes.EV_KEY, code, int(down))
        self.send(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)

    def send(self, kind: int, code: int, value: int) -> None:
        os.write(self._writer, struct.pack(_EVENT, 0, 0, kind, code, value))

    def unplug(self) -> None:
        self.plugged = False

    def plug(self) -> None:
        self.plugged = True

    def close(self) -> None:
        os.close(self._writer)


class Kernel:
    """What evdev's C module asks of the kernel, for virtual gamepads."""

    def __init__(self, *gamepads: VirtualGamepad) -> None:
        self.gamepads = {gamepad.path: gamepad for gamepad in gamepads}

    def install(self, monkeypatch) -> None:
        real = evdev.device._input
        emulated = SimpleNamespace(
            ioctl_devinfo=self._info,
            ioctl_EVIOCGVERSION=lambda fd: 65537,
            ioctl_EVIOCGEFFECTS=lambda fd: 0,
            ioctl_capabilities=self._capabilities,
            ioctl_EVIOCG_bits=lambda fd, kind: sorted(self._of(fd).pressed),
            ioctl_EVIOCGABS=self._absinfo,
            device_read_many=self._read_many(real),
        )
        monkeypatch.setattr(evdev.device, "_input", emulated)
        monkeypatch.setattr(evdev.eventio, "_input", emulated)
        monkeypatch.setattr(evdev, "list_devices", self._list)

    def _list(self, input_device_dir="/dev/input", writable=True):
        return [path for path, gamepad in self.gamepads.items() if gamepad.plugged]

    def _of(self, fd: int) -> VirtualGamepad:
        gamepad = self.gamepads[os.readlink(f"/proc/self/fd/{fd}")]
        if not gamepad.plugged:
            raise OSError(errno.ENODEV, "No such device")
        return gamepad

    def _info(self, fd):
        return (3, 0x045E, 0x028E, 0x114, self._of(fd).name, "usb-1/input0", "")

    def _capabilities(self, fd):
        gamepad = self._of(fd)
        axes = [(code, (gamepad.values[code], *of, 0)) for code, of in gamepad.axes.items()]
        return {ecodes.EV_KEY: list(gamepad.buttons), ecodes.EV_ABS: axes}

    def _absinfo(self, fd, code):
        gamepad = self._of(fd)
        return (gamepad.values[code], *gamepad.axes[code], 0)

    def _read_many(self, real):
        def read(fd):
            self._of(fd)
            return real.device_read_many(fd)

        return read
