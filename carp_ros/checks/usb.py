"""Whether a camera's USB port is fast enough for its images, and its bus for all cameras on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from carp_ros.checks.probe import CheckResult
from carp_ros.checks.system_files import THIS_MACHINE, SystemFiles, content_of, unreadable
from carp_ros.reports.check import CheckCode
from carp_ros.rig_cameras import CameraConfig, OpenCvCameraConfig, RealSenseCameraConfig

_BITS_PER_PIXEL = {"MJPG": 3.0, "NV12": 12.0, "YUYV": 16.0, "UYVY": 16.0, "": 16.0}
_DEPTH_BITS = 16.0
_INTEL, _REALSENSE = "8086", "realsense"
_HIGH_SPEED = 480.0  # [Mbit/s], USB 2
_SPEED = re.compile(r"[1-9][0-9]{0,5}(\.[0-9])?")
# of a bus's speed, what one device gets at USB 2 (three packets of 1024 bytes in each of 8000
# microframes a second), and what all devices get together
_DEVICE_SHARE, _BUS_SHARE = 0.4, 0.8
_OTHER_PORT = "plug it into a USB 3 port (blue, SS) with a USB 3 cable, without a hub"


@dataclass(frozen=True)
class UsbDevice:
    """A device on a USB bus.

    Attributes:
        folder: Its folder in sysfs, whose name begins with the bus's number.
        product, serial: As the device says.
        speed_mbit: Of its link in [Mbit/s]; None if the kernel does not tell.
    """

    folder: Path
    product: str
    serial: str
    speed_mbit: float | None

    @property
    def bus(self) -> str:
        """The bus's number."""
        return self.folder.name.partition("-")[0]


@dataclass(frozen=True)
class UsbProbe:
    """The USB link of one camera.

    Attributes:
        camera: Its name.
        cameras: All cameras of the rig.
    """

    camera: str
    cameras: Mapping[str, CameraConfig]
    files: SystemFiles = THIS_MACHINE
    needed_for: str = ""
    code: CheckCode = CheckCode.USB_SLOW

    @property
    def name(self) -> str:
        """What it looks at."""
        return f"{self.camera}: USB"

    def look(self) -> CheckResult:
        """Find the device in sysfs; compare its link with what the images need."""
        config = self.cameras[self.camera]
        if is_a_file(config):
            return CheckResult("it is a file", "nothing", CheckCode.NOT_APPLICABLE)
        found = list(usb_devices_of(config, self.files))
        if not found and _is_video_device(config, self.files):
            return CheckResult("it is not on USB", "nothing", CheckCode.NOT_APPLICABLE)
        if not found:
            return CheckResult(
                "not on any USB bus",
                "plug it in; in a container, pass its device through",
                CheckCode.CAMERA_ABSENT,
            )
        if len(found) > 1:
            serials = ", ".join(device.serial or "?" for device in found)
            return CheckResult(
                f"one of {len(found)} alike (USB serials {serials})",
                "unplug the others to see its own link",
                CheckCode.UNREADABLE,
            )
        return self._judged(found[0], needed_mbit(config))

    def _judged(self, device: UsbDevice, mbit: float) -> CheckResult:
        speed = device.speed_mbit
        if speed is None:
            return unreadable(
                f"the kernel tells no speed of the device at port {device.folder.name}",
                "unplug it and plug it in again",
            )
        text = (
            f"{device.product} serial {device.serial or 'none'} at {speed:g} Mbit/s;"
            f" its images need {mbit:.0f}"
        )
        gets = speed * (_DEVICE_SHARE if speed <= _HIGH_SPEED else _BUS_SHARE)
        expected = f"{gets:.0f} Mbit/s at most for one device, at this speed"
        if mbit > gets:
            return CheckResult(text, _OTHER_PORT, CheckCode.USB_SLOW, expected)
        together = {
            name: needed_mbit(config)
            for name, config in self.cameras.items()
            if any(other.bus == device.bus for other in usb_devices_of(config, self.files))
        }
        bus_mbit = speed * _BUS_SHARE
        if len(together) > 1 and sum(together.values()) > bus_mbit:
            return CheckResult(
                f"{text}; {' and '.join(together)} on bus {device.bus} need"
                f" {sum(together.values()):.0f} Mbit/s together",
                "plug one of them into a port of another USB controller (lsusb -t shows them)",
                CheckCode.USB_BUS_FULL,
                f"{bus_mbit:.0f} Mbit/s at most on one bus",
            )
        return CheckResult(text, expected=expected)


def is_a_file(config: CameraConfig) -> bool:
    """Return whether a camera is a recording or a video file."""
    if isinstance(config, RealSenseCameraConfig):
        return bool(config.playback_file)
    return not (isinstance(config, OpenCvCameraConfig) and config.device.startswith("/dev/"))


def needed_mbit(config: CameraConfig) -> float:
    """Return what a camera's images need of its link, about, in [Mbit/s]."""
    bits = 16.0  # a RealSense's colour is YUYV
    if isinstance(config, OpenCvCameraConfig):
        bits = _BITS_PER_PIXEL.get(config.fourcc, 16.0)
    elif isinstance(config, RealSenseCameraConfig) and config.depth:
        bits += _DEPTH_BITS
    return config.width_px * config.height_px * config.rate_hz * bits * 1e-6


def usb_devices_of(config: CameraConfig, files: SystemFiles) -> Iterator[UsbDevice]:
    """Yield the USB devices that may be a camera: one, or more that can't be told apart.

    A RealSense's serial number on the USB bus is not the one that is printed on it.
    """
    if is_a_file(config):
        return
    if isinstance(config, OpenCvCameraConfig):
        folder = _video_folder(config, files) / "device"
        if folder.exists():
            for parent in (folder.resolve(), *folder.resolve().parents):
                if (parent / "speed").is_file():
                    yield _device(parent)
                    return
        return
    for folder in files.matching("/sys/bus/usb/devices", "*-*"):
        vendor = content_of(folder / "idVendor")
        if vendor == _INTEL and _REALSENSE in content_of(folder / "product").lower():
            yield _device(folder)


def _is_video_device(config: CameraConfig, files: SystemFiles) -> bool:
    return isinstance(config, OpenCvCameraConfig) and _video_folder(config, files).exists()


def _video_folder(config: OpenCvCameraConfig, files: SystemFiles) -> Path:
    name = files.path(config.device).resolve().name  # through links as /dev/v4l/by-id
    return files.path(f"/sys/class/video4linux/{name}")


def _device(folder: Path) -> UsbDevice:
    speed = content_of(folder / "speed")
    return UsbDevice(
        folder,
        content_of(folder / "product"),
        content_of(folder / "serial"),
        float(speed) if _SPEED.fullmatch(speed) else None,
    )
