"""Checks a compressed image's header before memory is allocated to decode it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from carp_ros.errors import MessageError

_MOST_PIXELS = 50_000_000
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"
_PADDING = 4096  # bytes that a camera may append after the image
_SIZES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))


def require_image(data: npt.NDArray[np.uint8], said: str) -> tuple[int, int]:
    """Return an image's width and height in [px], as its header says.

    Rejects data that are not a complete JPEG or PNG, or have more than 50 million pixels.

    Args:
        data: The file's bytes.
        said: The format that the message declares.

    Raises:
        MessageError: If the data are rejected.
    """
    head, tail = bytes(data[:32]), bytes(data[-_PADDING:])
    if head.startswith(_JPEG) and _JPEG_END in tail:
        width_px, height_px = _jpeg_size(data)
    elif head.startswith(_PNG) and _PNG_END in tail:
        width_px, height_px = struct.unpack_from(">II", head, 16)
    else:
        raise not_an_image(data, said)
    if not 0 < width_px * height_px <= _MOST_PIXELS:
        raise MessageError(
            f"image is of {width_px}x{height_px} px; expected 1 to {_MOST_PIXELS} pixels"
        )
    return width_px, height_px


def not_an_image(data: Any, said: str) -> MessageError:
    """Return the error for bytes that are not an image."""
    return MessageError(
        f"image of format {said!r} with {len(data)} bytes is no image; expected a whole JPEG or PNG"
    )


def _jpeg_size(data: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Return width and height from the first segment that has them; 0 if none does."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = int(data[at + 1])
        if marker in _SIZES:
            height_px, width_px = struct.unpack(">HH", bytes(data[at + 5 : at + 9]))
            return width_px, height_px
        at += 2 + int(data[at + 2]) * 256 + int(data[at + 3])
    return 0, 0
