"""A USB camera, read through OpenCV's V4L2 backend."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.camera import CameraFrame, RosTimeAt
from carp_ros.hardware.pinhole import GUESSED, guessed_intrinsics
from carp_ros.refusal import in_words, named, printable
from carp_ros.rig_cameras import OpenCvCameraConfig, optical_frame
from carp_ros.types import Intrinsics

_FARTHEST_NS = 1_000_000_000  # from a stamp of the monotonic clock to the arrival of its frame
_MANUAL_EXPOSURE, _AUTO_EXPOSURE = 1.0, 3.0  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY
_EXPOSURE_UNIT_US = 100.0  # of V4L2_CID_EXPOSURE_ABSOLUTE


class OpenCvCamera:
    """A `Camera` on V4L2.

    The kernel stamps each frame with the monotonic clock when its transfer begins, which is shortly
    after the exposure. OpenCV does not pass the driver's frame number on, so dropped frames are
    inferred from the time between two stamps.

    Args:
        name: As in the rig's file.
        config: Device, size, rate and locked settings.
        ros_time_at: Converts stamps.
    """

    def __init__(self, name: str, config: OpenCvCameraConfig, ros_time_at: RosTimeAt) -> None:
        self._name = name
        self._config = config
        self._ros_time_at = ros_time_at
        self._capture: cv2.VideoCapture | None = None
        self._remarks: tuple[str, ...] = ()
        self._period_ns = 1e9 / config.rate_hz
        self._last_ns = 0
        self._sequence = 0
        self._says_arrival = False

    def open(self) -> None:
        """Start the camera.

        Raises:
            DeviceError: If there is no such device, or it can't be opened.
            ValueError: If it does not have this image size.
        """
        self.close()
        self._require_device()
        capture = cv2.VideoCapture(self._config.device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise DeviceError(
                f"{self._device} can't be opened as a camera: is another program using it, or is it"
                " another interface of the same camera (v4l2-ctl --list-devices shows them)?"
            )
        self._capture = capture
        self._remarks = tuple(self._set_up(capture))
        self._last_ns, self._sequence, self._says_arrival = 0, 0, False

    @property
    def info(self) -> Intrinsics:
        """A guess: V4L2 knows nothing of the lens."""
        config = self._config
        return guessed_intrinsics(config.width_px, config.height_px, optical_frame(self._name))

    @property
    def serial_number(self) -> str:
        """What USB says; empty if it says nothing."""
        return usb_serial_number(Path(self._config.device))

    @property
    def remarks(self) -> tuple[str, ...]:
        """How the device differs from what was asked for."""
        return self._remarks

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next frame; return None on timeout.

        Raises:
            DeviceError: If the camera is gone.
        """
        assert self._capture is not None, "open it first"
        try:
            ready, _ = cv2.VideoCapture.waitAny([self._capture], max(1, round(timeout_s * 1e9)))
            read, bgr = self._capture.retrieve() if ready else (False, None)
        except (
            cv2.error
        ) as error:  # gone, or a damaged frame: opened anew, it goes on in either case
            self._require_device()
            raise DeviceError(f"{self._device}: {in_words(error)}") from error
        arrived_ns = time.monotonic_ns()
        if not read or bgr is None:
            self._require_device()
            return None
        steady_ns = self._stamp(arrived_ns)
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return CameraFrame(self._ros_time_at(steady_ns), rgb, self._sequence)

    def close(self) -> None:
        """Stop the camera."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    @property
    def _device(self) -> str:
        return printable(self._config.device)

    def _require_device(self) -> None:
        path = Path(self._config.device)
        if not path.exists():
            known = ", ".join(named(other) for other in sorted(path.parent.glob("*"))[:8])
            where = f"; {named(path.parent)} has {known}" if known and path.parent != _DEV else ""
            raise DeviceError(f"{self._device} is not there: plug the camera in{where}")
        if not os.access(path, os.R_OK | os.W_OK):
            raise DeviceError(
                f"{self._device} may not be read by this user: add the user to the group video and"
                " log in again"
            )

    def _set_up(self, capture: cv2.VideoCapture) -> Iterator[str]:
        """Ask for format, size and settings; yield what the device did not accept."""
        config = self._config
        if config.fourcc:
            # before the size: which sizes and rates there are depends on the format
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc))
            given = _fourcc(capture)
            if given != config.fourcc:
                yield f"fourcc {config.fourcc} was not accepted; the device sends {given}"
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height_px)
        width_px = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height_px = round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if (width_px, height_px) != (config.width_px, config.height_px):
            raise ValueError(
                f"cameras.{self._name}: {self._device} sends {width_px}x{height_px} px for"
                f" {config.width_px}x{config.height_px}; expected a size that it has"
                f" (v4l2-ctl --device {self._device} --list-formats-ext)"
            )
        yield from self._ask(capture, "rate_hz", cv2.CAP_PROP_FPS, config.rate_hz)
        self._period_ns = 1e9 / (capture.get(cv2.CAP_PROP_FPS) or config.rate_hz)
        yield from self._ask(capture, "buffers", cv2.CAP_PROP_BUFFERSIZE, config.buffers)
        for key, automatic, on, off, locked, value in self._locks():
            if value is None:
                capture.set(automatic, on)  # which a device without it does not need to accept
                continue
            yield from self._ask(capture, f"manual {key}", automatic, off)
            yield from self._ask(capture, key, locked, value)
        if config.gain is not None:
            yield from self._ask(capture, "gain", cv2.CAP_PROP_GAIN, config.gain)
        yield GUESSED

    def _locks(self) -> Iterator[tuple[str, int, float, float, int, float | None]]:
        """Yield key, property of the automatism with its values on and off, property, value."""
        config = self._config
        exposure = None if config.exposure_us is None else config.exposure_us / _EXPOSURE_UNIT_US
        auto, value = cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE
        yield "exposure_us / 100", auto, _AUTO_EXPOSURE, _MANUAL_EXPOSURE, value, exposure
        auto, value = cv2.CAP_PROP_AUTO_WB, cv2.CAP_PROP_WB_TEMPERATURE
        yield "white_balance_k", auto, 1.0, 0.0, value, config.white_balance_k
        auto, value = cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_FOCUS
        yield "focus", auto, 1.0, 0.0, value, config.focus

    def _ask(self, capture: cv2.VideoCapture, key: str, number: int, value: float) -> Iterator[str]:
        """Set a property and read it back; yield what the device has instead."""
        accepted = capture.set(number, value)
        given = capture.get(number)
        if not accepted or abs(given - value) > 1e-3 * max(1.0, abs(value)):
            has = "has no such setting" if given in (-1.0, 0.0) != value else f"has {given:g}"
            yield f"{key} {value:g} was not accepted; the device {has}"

    def _stamp(self, arrived_ns: int) -> int:
        """Return the monotonic time of the frame just read, and count it and those before it."""
        assert self._capture is not None
        steady_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if not 0 <= arrived_ns - steady_ns <= _FARTHEST_NS:
            steady_ns = arrived_ns
            if not self._says_arrival:
                self._says_arrival = True
                self._remarks += (
                    "its frames have no stamp of the monotonic clock: they are stamped with their"
                    " arrival, later than the exposure by the time of their transfer",
                )
        steady_ns = max(steady_ns, self._last_ns + 1)
        periods = (steady_ns - self._last_ns) / self._period_ns if self._last_ns else 1.0
        self._sequence += max(1, round(periods))
        self._last_ns = steady_ns
        return steady_ns


def usb_serial_number(device: Path, classes: Path = Path("/sys/class/video4linux")) -> str:
    """Return the serial number of the USB device behind a video device; empty if it has none.

    Args:
        device: As `/dev/video0`, or a link to it.
        classes: Where the kernel describes video devices.
    """
    try:
        # `device` is one interface of the USB device, which is the folder around it
        interface = (classes / device.resolve().name / "device").resolve(strict=True)
        return printable((interface.parent / "serial").read_text(encoding="utf-8").strip())[:64]
    except (OSError, UnicodeDecodeError, RuntimeError):
        return ""


_DEV = Path("/dev")


def _fourcc(capture: cv2.VideoCapture) -> str:
    code = round(capture.get(cv2.CAP_PROP_FOURCC))
    return printable(code.to_bytes(4, "little", signed=code < 0).decode("latin-1").rstrip("\0"))
