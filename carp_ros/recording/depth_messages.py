"""Depth images in a bag: 16 bits a pixel, without loss, as image_transport's compressedDepth."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.errors import MessageError
from carp_ros.recording.messages import IMAGE, JPEG, decode, encode

DEPTH = "depth/image_raw"
"""Name of a camera's depth topic, after the camera's own name."""

_ENCODING = "16UC1"
_FORMAT = f"{_ENCODING}; compressedDepth png"
# compressed_depth_image_transport's ConfigHeader: format 0 for inverse depth, and its two numbers,
# which images of 16 bits do not use
_HEADER = struct.Struct("<iff")
_FASTEST = 1  # of PNG: others take several times as long for a tenth of the size
_MOST_SIDE_PX = 8192

_Depth = npt.NDArray[np.uint16]


def decode_depth(kind: str, cdr: bytes) -> _Depth:
    """Return depth in [mm] of shape (H, W); 0 where it is unknown.

    Args:
        kind: `sensor_msgs/msg/Image`, or CompressedImage of the format compressedDepth.
        cdr: The serialized message.

    Raises:
        MessageError: If it is no such depth image.
    """
    msg = decode(kind, cdr)
    if kind == IMAGE:
        return _raw(msg)
    if kind != JPEG or msg.format != _FORMAT:
        raise MessageError(f"depth has the format {msg.format!r}; expected {_FORMAT!r}")
    depth = cv2.imdecode(msg.data[_HEADER.size :], cv2.IMREAD_UNCHANGED)
    if depth is None or depth.dtype != np.uint16 or depth.ndim != 2:
        raise MessageError("depth is no PNG of 16 bits and one channel")
    return np.asarray(depth, np.uint16)


def compress_depth(cdr: bytes) -> bytes:
    """Return a serialized 16UC1 `sensor_msgs/msg/Image` as a CompressedImage with the same numbers.

    Raises:
        MessageError: If it is no depth image.
    """
    msg = decode(IMAGE, cdr)
    written, png = cv2.imencode(".png", _raw(msg), (cv2.IMWRITE_PNG_COMPRESSION, _FASTEST))
    if not written:
        raise MessageError(f"depth of {msg.width}x{msg.height} px can't be compressed")
    data = np.concatenate([np.frombuffer(_HEADER.pack(0, 0.0, 0.0), np.uint8), png.reshape(-1)])
    return encode(JPEG, header=msg.header, format=_FORMAT, data=data)


def _raw(msg: Any) -> _Depth:
    height, width, step = msg.height, msg.width, msg.step
    if msg.encoding != _ENCODING:
        raise MessageError(f"depth is encoded as {msg.encoding!r}; expected {_ENCODING}, in mm")
    if not (0 < height <= _MOST_SIDE_PX and 0 < width <= _MOST_SIDE_PX):
        raise MessageError(f"depth is {width}x{height} px; expected 1 to {_MOST_SIDE_PX} px")
    if step < 2 * width or len(msg.data) < height * step:
        raise MessageError(f"depth of {width}x{height} px holds {len(msg.data)} bytes")
    rows = np.asarray(msg.data, np.uint8)[: height * step].reshape(height, step)
    order = ">u2" if msg.is_bigendian else "<u2"
    return np.ascontiguousarray(rows[:, : 2 * width]).view(order).astype(np.uint16, copy=False)
