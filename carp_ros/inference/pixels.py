"""Converts a camera message's bytes to RGB, the same for live and recorded images."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.errors import MessageError

_Pixels = npt.NDArray[np.uint8]


def _rgb_from_yuy2(pixels: _Pixels) -> _Pixels:
    """Return RGB from Y U Y V, where two pixels share their colour (ITU-R BT.601)."""
    if pixels.shape[1] % 2:
        raise MessageError(
            f"image is {pixels.shape[1]} px wide; expected an even width, as yuv422_yuy2 has one"
            " colour for two pixels"
        )
    rgb = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_YUV2RGB_YUY2)
    return np.asarray(rgb, dtype=np.uint8)


# Bytes per pixel, and the conversion to RGB. Samples have 8 bits, so a message's `is_bigendian`
# does not matter.
_ENCODINGS: dict[str, tuple[int, Callable[[_Pixels], _Pixels]]] = {
    "rgb8": (3, lambda pixels: pixels),
    "bgr8": (3, lambda pixels: pixels[:, :, ::-1]),
    "mono8": (1, lambda pixels: np.repeat(pixels, 3, axis=2)),
    "rgba8": (4, lambda pixels: pixels[:, :, :3]),
    "bgra8": (4, lambda pixels: pixels[:, :, 2::-1]),
    "yuv422_yuy2": (2, _rgb_from_yuy2),
}


def rgb_from_rows(
    data: _Pixels, encoding: str, height_px: int, width_px: int, step: int
) -> _Pixels:
    """Return an image as RGB of shape (H, W, 3); it may share the memory of `data`.

    Args:
        data: Consecutive rows, of shape (at least H * step,).
        encoding: rgb8, bgr8, mono8, rgba8, bgra8 or yuv422_yuy2, as named in
            `sensor_msgs/image_encodings`. Alpha is dropped.
        height_px: Rows of the image.
        width_px: Pixels per row.
        step: Bytes per row, including padding.

    Raises:
        MessageError: If the encoding is another, the data is too short, or a yuv422_yuy2 image has
            an odd width.
    """
    if encoding not in _ENCODINGS:
        *names, last = _ENCODINGS
        raise MessageError(
            f"image is encoded as {encoding!r}; expected {', '.join(names)} or {last}: set the"
            " camera's driver so (usb_cam: pixel_format yuyv2rgb; realsense2_camera: color_format"
            " RGB8)"
        )
    channels, to_rgb = _ENCODINGS[encoding]
    if height_px < 1 or width_px < 1:
        raise MessageError(f"image is of {width_px}x{height_px} px; expected at least one pixel")
    if len(data) < height_px * step or step < width_px * channels:
        raise MessageError(
            f"image of {width_px}x{height_px} px holds {len(data)} bytes in rows of"
            f" {step}; expected {height_px * width_px * channels} or more"
        )
    rows = data[: height_px * step].reshape(height_px, step)
    return to_rgb(rows[:, : width_px * channels].reshape(height_px, width_px, channels))
