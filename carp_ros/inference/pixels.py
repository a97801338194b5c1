"""From a camera message's bytes to RGB, the same for live and recorded images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carp_ros.errors import MessageError


def rgb_from_rows(
    data: npt.NDArray[np.uint8], encoding: str, height_px: int, width_px: int, step: int
) -> npt.NDArray[np.uint8]:
    """Return an image as RGB of shape (H, W, 3); it may share the memory of `data`.

    Args:
        data: The rows, one after the other, of shape (at least H * step,).
        encoding: rgb8, bgr8 or mono8.
        height_px: Rows of the image.
        width_px: Pixels in a row.
        step: Bytes from one row to the next.

    Raises:
        MessageError: If the encoding is another, or the data is cut short.
    """
    channels = {"rgb8": 3, "bgr8": 3, "mono8": 1}.get(encoding)
    if channels is None:
        raise MessageError(
            f"image is encoded as {encoding!r}; expected rgb8, bgr8 or mono8: set the camera's"
            " driver so (usb_cam: pixel_format yuyv2rgb; realsense2_camera: color_format RGB8)"
        )
    if height_px < 1 or width_px < 1:
        raise MessageError(f"image is of {width_px}x{height_px} px; expected at least one pixel")
    if len(data) < height_px * step or step < width_px * channels:
        raise MessageError(
            f"image of {width_px}x{height_px} px holds {len(data)} bytes in rows of"
            f" {step}; expected {height_px * width_px * channels} or more"
        )
    rows = data[: height_px * step].reshape(height_px, step)
    image = rows[:, : width_px * channels].reshape(height_px, width_px, channels)
    if encoding == "bgr8":
        return image[:, :, ::-1]
    return image if channels == 3 else np.repeat(image, 3, axis=2)
