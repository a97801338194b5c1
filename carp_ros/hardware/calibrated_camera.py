"""A camera with its measured intrinsics and latency in place of what its driver says."""

from __future__ import annotations

import dataclasses

from carp_ros.calibrated.rig_calibration import RigCalibration
from carp_ros.hardware.camera import Camera, CameraFrame
from carp_ros.hardware.pinhole import GUESSED
from carp_ros.types import Intrinsics


class CalibratedCamera:
    """A `Camera` around another one.

    This is the only place where a camera's calibration changes what is published: images are
    stamped with the exposure time, so that live policies, recordings and conversions need not know
    the latency.

    Args:
        name: As in the rig's file.
        camera: The driver.
        calibration: The rig's.
        latency_s: How much later than the exposure the driver's stamps are.

    Attributes:
        driver: The camera's driver.
    """

    def __init__(
        self, name: str, camera: Camera, calibration: RigCalibration, latency_s: float
    ) -> None:
        self._name = name
        self.driver = camera
        self._measured = calibration.intrinsics.get(name)
        self._serial_numbers = calibration.serial_numbers(name)
        self._latency_ns = round(latency_s * 1e9)
        self._info: Intrinsics | None = None

    def open(self) -> None:
        """Start the camera.

        Raises:
            DeviceError: If it is not found, or another process has it open.
            ValueError: If retrying cannot help: also if it was calibrated with another serial
                number or image size.
        """
        self.driver.open()
        try:
            self._require_same_camera()
            self._info = self._measured_info(self.driver.info)
        except ValueError:
            self.driver.close()
            raise

    @property
    def info(self) -> Intrinsics:
        """The measured intrinsics, or else the driver's."""
        assert self._info is not None, "open it first"
        return self._info

    @property
    def serial_number(self) -> str:
        """The device's serial number."""
        return self.driver.serial_number

    @property
    def remarks(self) -> tuple[str, ...]:
        """The driver's remarks, without that on a guess which the measurement has replaced."""
        remarks = self.driver.remarks
        if self._measured is None:
            return remarks
        return tuple(remark for remark in remarks if remark != GUESSED)

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next frame; return None on timeout.

        Raises:
            DeviceError: If the camera is gone.
        """
        frame = self.driver.read(timeout_s)
        if frame is None or not self._latency_ns:
            return frame
        return dataclasses.replace(frame, stamp_ns=frame.stamp_ns - self._latency_ns)

    def close(self) -> None:
        """Stop the camera if it is running."""
        self.driver.close()

    def _require_same_camera(self) -> None:
        has = self.driver.serial_number
        for name, expected in self._serial_numbers.items():
            if has and has != expected:
                raise ValueError(
                    f"cameras.{self._name} has the serial number {has}, but {name}.yaml was"
                    f" measured with {expected}; expected the same camera: plug that one in, or"
                    " calibrate this one (doc/calibrate.md)"
                )

    def _measured_info(self, given: Intrinsics) -> Intrinsics:
        if self._measured is None:
            return given
        measured = self._measured.intrinsics
        sizes = [(i.width_px, i.height_px) for i in (measured, given)]
        if sizes[0] != sizes[1]:
            (width, height), (has_width, has_height) = sizes
            raise ValueError(
                f"cameras.{self._name} has images of {has_width}x{has_height} px, but"
                f" {self._name}_intrinsics.yaml is for {width}x{height} px; expected one size:"
                " calibrate at the size that the rig uses (doc/calibrate.md)"
            )
        return dataclasses.replace(measured, frame=given.frame)
