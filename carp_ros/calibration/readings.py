"""Readings on disk: images of a board, poses of the arm, and recordings of a motion.

    folder/
      poses.yaml        of the flange, by image:
                            poses:
                              view_00.png: {position_m: [..., ..., ...], quaternion: [x, y, z, w]}
      view_00.png ...   as captured, not rectified

A file that cannot be read is named and left out; the rest is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import Image
from carp_ros.calibration.latency import Signal
from carp_ros.errors import CalibrationError
from carp_ros.files.given_file import given_bytes, given_text
from carp_ros.files.plain_yaml import load_mapping
from carp_ros.refusal import named, refusing
from carp_ros.strict import Between, Sized, Unit, read_strictly
from carp_ros.types import Pose

POSES = "poses.yaml"
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_MOST_IMAGE_BYTES = 100_000_000
_MOST_TABLE_BYTES = 100_000_000
_NS_PER_S = 1e9
_LATEST_S = 9e9  # [ns] must fit into 64 bits
_LARGEST = 1e9


@dataclass(frozen=True)
class ArmPose:
    """A pose in a file: position in [m], and xyzw."""

    position_m: Annotated[tuple[float, float, float], Between(-10.0, 10.0)]
    quaternion: Annotated[tuple[float, float, float, float], Unit()]

    @property
    def pose(self) -> Pose:
        """The pose, with the quaternion normalised."""
        quaternion = np.array(self.quaternion)
        return Pose(np.array(self.position_m), quaternion / np.linalg.norm(quaternion))


@dataclass(frozen=True)
class PoseFile:
    """`base_from_flange` of each reading, by its name."""

    poses: Annotated[dict[str, ArmPose], Sized(1, 10_000)]


def load_poses(path: Path) -> Mapping[str, Pose]:
    """Read `base_from_flange` by name.

    Raises:
        ValueError: If the file is missing, not YAML, or a value is invalid.
    """
    file = read_strictly(PoseFile, load_mapping(path, _MOST_TABLE_BYTES), named(path))
    return {name: pose.pose for name, pose in file.poses.items()}


def load_board(path: Path | None) -> Board:
    """Read a board's layout; the default one without a file.

    Raises:
        ValueError: If the file is missing, not YAML, or a value is invalid.
    """
    return Board() if path is None else read_strictly(Board, load_mapping(path), named(path))


def image_paths(folder: Path) -> list[Path]:
    """Return the images in a folder, by name.

    Raises:
        ValueError: If it is no folder or there are none.
    """
    with refusing(ValueError, named(folder)):
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
        if not found:
            raise ValueError(f"has no images; expected files ending in {', '.join(_ENDINGS)}")
    return found


def load_image(path: Path) -> Image:
    """Read an image as grey levels of shape (H, W).

    Raises:
        CalibrationError: If it cannot be read.
    """
    with refusing(CalibrationError, named(path)):
        data = np.frombuffer(given_bytes(path, _MOST_IMAGE_BYTES), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise CalibrationError("is no image that can be decoded; leave it out or take it again")
    return np.asarray(image, np.uint8)


def load_signal(path: Path) -> Signal:
    """Read a recording: a CSV file with a line of names, times in [s] first, then values.

    Raises:
        ValueError: If the file is missing or not such a table, times do not
            increase, or a number is huge or not finite.
    """
    rows = list(_rows(given_text(path, _MOST_TABLE_BYTES), path))
    table = np.array(rows, dtype=np.float64)
    if len(table) < 2 or not (np.diff(table[:, 0]) > 0.0).all():
        raise ValueError(
            f"{named(path)}: expected at least two rows, each later than the one before"
        )
    # Seconds since 1970 keep 0.2 us as floats: enough for latencies.
    return Signal(np.round(table[:, 0] * _NS_PER_S).astype(np.int64), table[:, 1:])


def _rows(text: str, path: Path) -> Iterator[list[float]]:
    lines = [line for line in text.splitlines() if line.strip()]
    columns = len(lines[0].split(",")) if lines else 0
    if columns < 2:
        raise ValueError(f"{named(path)}: expected a line of names, the time first, as time_s,x_m")
    for number, line in enumerate(lines[1:], start=2):
        with refusing(ValueError, f"{named(path)}: line {number}"):
            row = [float(cell) for cell in line.split(",")]
            allowed = np.array([_LATEST_S] + [_LARGEST] * (columns - 1))
            if len(row) != columns or not (np.abs(row) <= allowed).all():  # also of NaN
                raise ValueError(
                    f"is {line!r:.80}; expected {columns} finite numbers: a time of at most"
                    f" {_LATEST_S:g} s and values of at most {_LARGEST:g}"
                )
        yield row
