"""What the camera node needs of a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carp_ros.types import Intrinsics


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a camera.

    Attributes:
        stamp_ns: When light hit the sensor, in ROS time.
        image: RGB of shape (height, width, 3). The driver may fill the same memory again at its
            next `read`.
        sequence: Rises by one with every frame that the sensor took: a gap is a frame lost on the
            way.
    """

    stamp_ns: int
    image: npt.NDArray[np.uint8]
    sequence: int


class Camera(Protocol):
    """One camera. One thread opens, reads and closes it."""

    def open(self) -> None:
        """Start the camera; after `close`, too.

        Raises:
            DeviceError: If it is not there, or another process has it.
            ValueError: If it can never be opened so: a size that it does not have, a driver that is
                not installed.
        """
        ...

    @property
    def info(self) -> Intrinsics:
        """How it projects, once it is open."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next frame; None if there was none in time.

        Raises:
            DeviceError: If the camera is gone.
        """
        ...

    def close(self) -> None:
        """Stop the camera, unless it is stopped already; it may be opened again."""
        ...
