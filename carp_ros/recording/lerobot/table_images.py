"""Reads images that are stored in the rows of a LeRobot dataset's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.recording.image_header import require_image
from carp_ros.recording.lerobot.features import ImageFeature
from carp_ros.recording.tables import Cells
from carp_ros.refusal import refusing

Image = npt.NDArray[np.uint8]

_MOST_IMAGE_BYTES = 50_000_000
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # as lerobot reads them


def table_images(cells: Cells, rows: Iterable[int], camera: ImageFeature) -> Iterator[Image]:
    """Yield images that are stored as PNG or JPEG in the rows of a table, RGB (H, W, 3).

    Args:
        cells: The column with the images.
        rows: The rows of an episode's frames.
        camera: The camera, with the size of its images.

    Raises:
        ValueError: If one is missing, of another size, or can't be decoded.
    """
    for frame, cell in enumerate(cells.of_rows(rows)):
        with refusing(ValueError, f"{camera.feature} of frame {frame}"):
            image = _decoded(cell, camera)
        yield image


def _decoded(cell: Any, camera: ImageFeature) -> Image:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes) or not 0 < len(content) <= _MOST_IMAGE_BYTES:
        raise ValueError("holds no image's bytes; expected PNG or JPEG in the table itself")
    data = np.frombuffer(content, np.uint8)
    camera.require_size(*require_image(data, "PNG or JPEG"))
    image = cv2.imdecode(data, _AS_STORED)
    if image is None:
        raise ValueError(f"{len(content)} bytes are no image; expected PNG or JPEG")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
