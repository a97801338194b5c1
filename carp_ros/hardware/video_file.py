"""A video file in place of a camera, played at its own rate."""

from __future__ import annotations

import time

import cv2
import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.camera import CameraFrame, RosTimeAt
from carp_ros.hardware.pinhole import GUESSED, guessed_intrinsics
from carp_ros.hardware.recorded_file import RecordedFile
from carp_ros.rig_cameras import OpenCvCameraConfig, optical_frame
from carp_ros.types import Intrinsics


class VideoFileCamera:
    """A `Camera` that plays a video file.

    A frame's stamp is the moment at which it was due, so that a busy machine delays frames but
    loses none. The end of the file is a `DeviceError`, like a cable that was pulled, and so is a
    file that was removed or replaced; opened again, the file starts from the beginning.

    Args:
        name: As in the rig's file.
        config: `device` is the file's path.
        ros_time_at: Converts stamps.
    """

    def __init__(self, name: str, config: OpenCvCameraConfig, ros_time_at: RosTimeAt) -> None:
        self._name = name
        self._config = config
        self._file = RecordedFile(config.device)
        self._ros_time_at = ros_time_at
        self._capture: cv2.VideoCapture | None = None
        self._remarks: tuple[str, ...] = ()
        self._rate_hz = config.rate_hz
        self._start_ns = 0
        self._number = 0

    def open(self) -> None:
        """Start from the file's beginning.

        Raises:
            DeviceError: If the file is not there.
            ValueError: If it is no video, or has another size than the rig's file says.
        """
        self.close()
        self._file.open()
        capture = cv2.VideoCapture(
            str(self._file.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]
        )
        where = f"cameras.{self._name}: {self._file}"
        if not capture.isOpened():
            raise ValueError(f"{where} is no video that FFmpeg can read; expected one, or a device")
        size_px = tuple(
            round(capture.get(side))
            for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        config = self._config
        if size_px != (config.width_px, config.height_px):
            capture.release()
            raise ValueError(
                f"{where} has images of {size_px[0]}x{size_px[1]} px, but width_px and height_px"
                f" are {config.width_px} and {config.height_px}; expected the same"
            )
        given_hz = capture.get(cv2.CAP_PROP_FPS)
        remarks = [f"plays {self._file} in place of a camera", GUESSED]
        if abs(given_hz - config.rate_hz) > 0.01 * config.rate_hz:
            remarks.append(f"the file has {given_hz:g} images per second, not {config.rate_hz:g}")
        locked = [key for key in _SETTINGS if getattr(config, key) is not None]
        if locked:
            remarks.append(f"a file has no {', '.join(locked)}")
        self._remarks = tuple(remarks)
        self._rate_hz = given_hz if given_hz > 0.0 else config.rate_hz
        self._capture = capture
        self._start_ns, self._number = time.monotonic_ns(), 0

    @property
    def info(self) -> Intrinsics:
        """A guess: a file knows nothing of the lens."""
        config = self._config
        return guessed_intrinsics(config.width_px, config.height_px, optical_frame(self._name))

    @property
    def serial_number(self) -> str:
        """Nothing: a file does not name its camera."""
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """That it is a file, and how it differs from what was asked for."""
        return self._remarks

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait until the next frame is due; return None if that is not within the timeout.

        Raises:
            DeviceError: At the end of the file, or if it was removed or replaced.
        """
        assert self._capture is not None, "open it first"
        due_ns = self._start_ns + round(self._number * 1e9 / self._rate_hz)
        wait_s = (due_ns - time.monotonic_ns()) * 1e-9
        if wait_s > 0.0:
            time.sleep(min(wait_s, timeout_s))
        if wait_s > timeout_s:
            return None
        self._file.require()
        read, bgr = self._capture.read()
        if not read or bgr is None:
            raise DeviceError(f"{self._file} ended after {self._number} images")
        self._number += 1
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return CameraFrame(self._ros_time_at(due_ns), rgb, self._number)

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None


_SETTINGS = ("exposure_us", "gain", "white_balance_k", "focus")
