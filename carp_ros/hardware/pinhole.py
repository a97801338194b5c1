"""The intrinsics of a camera of which nothing is known."""

from __future__ import annotations

import numpy as np

from carp_ros.types import Intrinsics

GUESSED = "its intrinsics are a guess until it is calibrated"
"""The remark of a camera that publishes `guessed_intrinsics`."""


def guessed_intrinsics(width_px: int, height_px: int, frame: str) -> Intrinsics:
    """Return a pinhole camera without distortion whose focal length is its image's width.

    That is a horizontal field of view of 53 degrees; webcams have 50 to 80.

    Args:
        width_px: Width of the image.
        height_px: Its height.
        frame: The optical frame.
    """
    centre_px = ((width_px - 1) / 2, (height_px - 1) / 2)
    focal_px = float(width_px)
    matrix = np.array(
        [[focal_px, 0.0, centre_px[0]], [0.0, focal_px, centre_px[1]], [0.0, 0.0, 1.0]]
    )
    return Intrinsics(width_px, height_px, matrix, frame)
