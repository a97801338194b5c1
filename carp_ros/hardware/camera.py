"""The camera interface that the camera node uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carp_ros.types import Intrinsics

RosTimeAt = Callable[[int], int]
"""Converts a time in [ns] of this machine's monotonic clock to ROS time."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One image of a camera.

    Attributes:
        stamp_ns: Exposure time, in ROS time.
        image: RGB of shape (height, width, 3). The driver may reuse its memory at the next `read`.
        sequence: Frame number of the sensor, increasing by one; a gap is a dropped frame.
        depth: Distance along the optical axis in [mm] for each pixel of `image`, of shape (height,
            width); 0 where it is unknown. None if the camera measures none, or none came in time.
    """

    stamp_ns: int
    image: npt.NDArray[np.uint8]
    sequence: int
    depth: npt.NDArray[np.uint16] | None = None


class Camera(Protocol):
    """One camera. A single thread must open, read and close it."""

    def open(self) -> None:
        """Start the camera, also again after `close`.

        Raises:
            DeviceError: If it is not found, or another process has it open.
            ValueError: If retrying cannot help: an unsupported image size, a missing driver.
        """
        ...

    @property
    def info(self) -> Intrinsics:
        """The camera's intrinsics; valid once it is open."""
        ...

    @property
    def serial_number(self) -> str:
        """The device's serial number; empty if it is not known; valid once it is open."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """How the camera differs from what was asked for, a sentence each; valid once open.

        Such as an option that the device did not accept, or intrinsics that are only a guess.
        """
        ...

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next frame; return None on timeout.

        Raises:
            DeviceError: If the camera is gone.
        """
        ...

    def close(self) -> None:
        """Stop the camera if it is running; it may be opened again."""
        ...
