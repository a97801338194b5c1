"""Spoils fields of messages, as they are on the wire."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore

from bench.faults.campaign import Chance
from bench.faults.hostile import NAMES, shown

_STORE = get_typestore(Stores.ROS2_JAZZY)

_FLOATS = (
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -1e308,
    1e-308,
    0.0,
    -0.0,
    1.0000001,
    -1.0,
    5.0,
    1e6,
    math.pi * 1000,
)


def spoil_message(chance: Chance, kind: str, cdr: bytes) -> tuple[bytes, str]:
    """Return a message with one field otherwise, and what.

    Args:
        chance: Decides.
        kind: Type of the message.
        cdr: Its bytes.
    """
    message: Any = _STORE.deserialize_cdr(cdr, kind)
    ways = [_stamp, _frame] if hasattr(message, "header") else []
    if hasattr(message, "encoding"):
        ways += [_image] * 6
    elif hasattr(message, "format"):
        ways += [_jpeg] * 6
    elif hasattr(message, "pose"):
        ways += [_pose] * 5
    elif hasattr(message, "position"):
        ways += [_joints] * 5
    elif hasattr(message, "data") and isinstance(message.data, float):
        ways += [_number]
    else:
        ways += [_nothing]
    what = ways[int(chance.integers(len(ways)))](chance, message)
    return bytes(_STORE.serialize_cdr(message, kind)), what


def _set(message: Any, name: str, value: Any) -> str:
    object.__setattr__(message, name, value)
    return f"{name} is {shown(value)}"


def _nothing(chance: Chance, message: Any) -> str:
    return "nothing"


def _stamp(chance: Chance, message: Any) -> str:
    stamp = message.header.stamp
    seconds = (0, -1, -(2**31), 2**31 - 1, stamp.sec + 1, stamp.sec - 1, stamp.sec + 3600)
    if chance.random() < 0.3:
        return _set(stamp, "nanosec", (0, 2**32 - 1, 10**9)[int(chance.integers(3))])
    return _set(stamp, "sec", seconds[int(chance.integers(len(seconds)))])


def _frame(chance: Chance, message: Any) -> str:
    names = [name for name in NAMES if "\x00" not in name]
    return _set(message.header, "frame_id", names[int(chance.integers(len(names)))])


def _image(chance: Chance, message: Any) -> str:
    data = message.data
    ways: tuple[tuple[str, Any], ...] = (
        ("encoding", ("bgr8", "mono8", "rgba8", "16UC1", "bayer_rggb8", "", "yuv422", "RGB8")),
        ("height", (0, 1, message.height * 2, 2**32 - 1, message.height - 1, 2**31)),
        ("width", (0, 1, message.width * 2, 2**32 - 1, message.width - 1, 2**31)),
        ("step", (0, 1, message.step * 2, 2**32 - 1, message.step - 1, message.step + 1)),
        ("is_bigendian", (1, 255)),
        ("data", (data[:0], data[:-1], data[: len(data) // 2], np.concatenate([data, data]))),
    )
    name, values = ways[int(chance.integers(len(ways)))]
    value = values[int(chance.integers(len(values)))]
    if name != "data":
        return _set(message, name, value)
    _set(message, name, value)
    return f"data of {len(value)} bytes"


def _jpeg(chance: Chance, message: Any) -> str:
    grey = np.full((48, 64), 128, np.uint8)
    large = np.zeros((6000, 6000), np.uint8)
    ways = {
        "an empty image": lambda: b"",
        "half a JPEG": lambda: bytes(message.data[: len(message.data) // 2]),
        "a JPEG without its end": lambda: bytes(message.data[:-30]),
        "a PNG": lambda: cv2.imencode(".png", grey)[1].tobytes(),
        "a grey JPEG": lambda: cv2.imencode(".jpg", grey)[1].tobytes(),
        "another size": lambda: cv2.imencode(".jpg", grey[:24, :32])[1].tobytes(),
        "a PNG of 36 megapixels": lambda: cv2.imencode(".png", large)[1].tobytes(),
        "a text": lambda: b"<html>404</html>",
        "zeros": lambda: bytes(1000),
        "noise": lambda: chance.bytes(1000),
        "a GIF": lambda: b"GIF89a" + chance.bytes(100),
        "a TIFF of no size": lambda: b"II*\x00\x08\x00\x00\x00" + bytes(50),
        "a JPEG of 65535 x 65535": lambda: _resized(bytes(message.data)),
    }
    if chance.random() < 0.15:
        odd = ("", "png", "jpeg", "rgb8; png compressed", "h264", "16UC1; compressedDepth")
        return _set(message, "format", odd[int(chance.integers(len(odd)))])
    way = list(ways)[int(chance.integers(len(ways)))]
    _set(message, "data", np.frombuffer(ways[way](), np.uint8))
    return way


def _resized(jpeg: bytes) -> bytes:
    """Return a JPEG whose head says that it is as large as can be."""
    place = max(jpeg.find(b"\xff\xc0"), 0)
    return jpeg[: place + 5] + b"\xff\xff\xff\xff" + jpeg[place + 9 :]


def _pose(chance: Chance, message: Any) -> str:
    part = message.pose.position if chance.random() < 0.4 else message.pose.orientation
    names = ("x", "y", "z", "w")[: 4 if hasattr(part, "w") else 3]
    act = chance.random()
    if act < 0.25:
        for name in names:
            _set(part, name, 0.0)
        return "all zeros"
    if act < 0.4:
        for name in names:
            _set(part, name, getattr(part, name) * 3.0)
        return "times 3"
    name = names[int(chance.integers(len(names)))]
    return _set(part, name, _FLOATS[int(chance.integers(len(_FLOATS)))])


def _joints(chance: Chance, message: Any) -> str:
    position = np.array(message.position)
    place = int(chance.integers(len(position)))
    value = _FLOATS[int(chance.integers(len(_FLOATS)))]
    act = int(chance.integers(8))
    if act <= 2:
        position[place] = value
        return _set(message, "position", position)
    if act == 3:
        return _set(message, "position", position[:place])
    if act == 4:
        return _set(message, "position", np.concatenate([position, position]))
    if act == 5:
        return _set(message, "name", message.name[::-1])
    if act == 6:
        return _set(message, "name", [*message.name[:-1], message.name[0]])
    return _set(message, "name", [])


def _number(chance: Chance, message: Any) -> str:
    return _set(message, "data", _FLOATS[int(chance.integers(len(_FLOATS)))])
