"""Converts a camera message's bytes to RGB and back, the same for live and recorded images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.errors import MessageError

_Pixels = npt.NDArray[np.uint8]

_MOST_SIDE_PX = 8192


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


JPEG_FORMAT = "rgb8; jpeg compressed bgr8"
"""The format of a compressed image of `jpeg_from_rgb`, in image_transport's notation."""


def jpeg_from_rgb(image: _Pixels, quality: int) -> bytes:
    """Return an RGB image of shape (H, W, 3) as a JPEG file, of a quality from 0 to 100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return data.tobytes()


def rgb_from_msg(msg: Any) -> _Pixels:
    """Return a message's image as RGB of shape (H, W, 3); it may share the message's memory.

    Args:
        msg: A `sensor_msgs/msg/Image`, of rclpy or deserialized from a bag. Alpha is dropped.

    Raises:
        MessageError: If the encoding is not rgb8, bgr8, mono8, rgba8, bgra8 or yuv422_yuy2, a side
            is far too large, the data is too short, or a yuv422_yuy2 image has an odd width.
    """
    height, width, step = msg.height, msg.width, msg.step
    if not (0 < height <= _MOST_SIDE_PX and 0 < width <= _MOST_SIDE_PX):
        raise MessageError(
            f"image is {width}x{height} px; expected sides of 1 to {_MOST_SIDE_PX} px"
        )
    if msg.encoding not in _ENCODINGS:
        *names, last = _ENCODINGS
        raise MessageError(
            f"image is encoded as {msg.encoding!r}; expected {', '.join(names)} or {last}: set the"
            " camera's driver so (usb_cam: pixel_format yuyv2rgb; realsense2_camera: color_format"
            " RGB8)"
        )
    channels, to_rgb = _ENCODINGS[msg.encoding]
    data = np.frombuffer(msg.data, np.uint8)
    if len(data) < height * step or step < width * channels:
        raise MessageError(
            f"image of {width}x{height} px holds {len(data)} bytes in rows of {step}; expected"
            f" {height * width * channels} or more"
        )
    rows = data[: height * step].reshape(height, step)
    return to_rgb(rows[:, : width * channels].reshape(height, width, channels))
