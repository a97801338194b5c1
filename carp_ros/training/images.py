"""The images of a dataset, resized to the network's input and cached on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.files.plain_json import load_json
from carp_ros.files.whole_file import whole_file
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.inference.preprocess import resized
from carp_ros.recording.demonstrations import Demonstrations, UnreadableEpisodeError

CameraImages = dict[str, npt.NDArray[np.uint8]]
"""By camera, the images of all frames, of shape (F, h, w, 3)."""


def read_images(
    data: Demonstrations, size: ImageSize, cache: Path, progress: Callable[[int], None]
) -> tuple[CameraImages, dict[int, str]]:
    """Return every image of a dataset, resized as on the robot; memory-mapped, not loaded.

    Args:
        data: The dataset.
        size: Of the network's images.
        cache: Folder where the resized images are kept for later runs.
        progress: Called with the number of images done, over all cameras.

    Returns:
        The images, and by episode the reasons why its images can't be read; those are black.

    Raises:
        ValueError: If an image can't be read and its episode can't be skipped.
    """
    images: CameraImages = {}
    unreadable: dict[int, str] = {}
    done = 0
    for camera in data.cameras:
        path = cache / f"{data.contents}_{camera}_{size.width_px}x{size.height_px}.npy"
        shape = (len(data.numbers), size.height_px, size.width_px, 3)
        kept = _kept(path, shape)
        if kept is None:
            with whole_file(path) as draft:
                table = np.lib.format.open_memmap(draft, "w+", np.uint8, shape)
                bad = _fill(
                    table, data, camera, size, lambda count, before=done: progress(before + count)
                )
                table.flush()
                with whole_file(path.with_suffix(".json")) as reasons:
                    reasons.write_text(json.dumps(bad), encoding="utf-8")
            kept = np.load(path, mmap_mode="r"), bad
        done += shape[0]
        images[camera], bad = kept
        unreadable |= {int(episode): reason for episode, reason in bad.items()}
    return images, unreadable


def _fill(
    table: npt.NDArray[np.uint8],
    data: Demonstrations,
    camera: str,
    size: ImageSize,
    progress: Callable[[int], None],
) -> dict[str, str]:
    """Fill a table with images; return the unreadable episodes, with reasons."""
    bad = {}
    episodes = data.numbers.episodes
    for episode in np.unique(episodes).tolist():
        first, end = np.searchsorted(episodes, [episode, episode + 1]).tolist()
        try:
            for place, image in enumerate(data.images(camera, episode), first):
                table[place] = resized(image, size)
                progress(place + 1)
        except UnreadableEpisodeError as error:
            table[first:end] = 0
            bad[str(episode)] = str(error)
    return bad


def _kept(
    path: Path, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.uint8], dict[str, str]] | None:
    """Return cached images and the reasons of unreadable episodes, if the cache is complete."""
    try:
        images = np.load(path, mmap_mode="r")
        bad = load_json(path.with_suffix(".json"))
    except (OSError, ValueError, EOFError):
        return None
    whole = (images.shape, images.dtype) == (shape, np.uint8)
    return (images, bad) if whole else None
