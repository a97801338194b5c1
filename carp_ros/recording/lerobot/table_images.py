"""Reads images that are stored in the rows of a LeRobot dataset's tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.recording.lerobot.episodes import Episode
from carp_ros.recording.tables import iterate_columns
from carp_ros.refusal import refusing

Image = npt.NDArray[np.uint8]

_MOST_IMAGE_BYTES = 50_000_000


def table_images(episode: Episode, feature: str) -> Iterator[Image]:
    """Yield an episode's images, which are stored in its rows as PNG or JPEG.

    Raises:
        ValueError: If one is missing or can't be decoded.
    """
    done = 0
    for index, value in iterate_columns(episode.table, "episode_index", feature):
        if index == episode.index:
            with refusing(ValueError, f"{feature} of frame {done}"):
                yield _decoded(value)
            done += 1
    if done != episode.length:
        raise ValueError(f"{episode.table.name} has {done} images; expected {episode.length}")


def _decoded(value: Any) -> Image:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes) or not 0 < len(content) <= _MOST_IMAGE_BYTES:
        raise ValueError("holds no image's bytes; expected PNG or JPEG in the table itself")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(content)} bytes are no image; expected PNG or JPEG")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
