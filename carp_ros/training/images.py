"""The images of a dataset in memory, at the size that the network takes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.files.whole_file import whole_file
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.inference.preprocess import resized
from carp_ros.recording.dataset_reader import DatasetReader

Images = dict[str, npt.NDArray[np.uint8]]
"""By camera, of all frames: of shape (F, h, w, 3)."""


def read_images(
    reader: DatasetReader, size: ImageSize, cache: Path, progress: Callable[[int], None]
) -> Images:
    """Return every image of a dataset, resized as on the robot; mapped from files, not loaded.

    Args:
        reader: The dataset.
        size: Of the network's images.
        cache: Folder where the resized images are kept for the next time.
        progress: Called with how many images of all cameras are done.
    """
    images: Images = {}
    done = 0
    for camera in reader.spec.cameras:
        path = cache / f"{_contents(reader)}_{camera}_{size.width_px}x{size.height_px}.npy"
        shape = (reader.frames, size.height_px, size.width_px, 3)
        kept = _kept(path, shape)
        if kept is None:
            with whole_file(path) as draft:
                table = np.lib.format.open_memmap(draft, "w+", np.uint8, shape)
                for place, image in enumerate(reader.images(camera)):
                    table[place] = resized(image, size)
                    progress(done + place + 1)
                table.flush()
            kept = np.load(path, mmap_mode="r")
        done += reader.frames
        images[camera] = kept
    return images


def _kept(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
    """Return images that were kept, if they are whole."""
    try:
        images = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return images if (images.shape, images.dtype) == (shape, np.uint8) else None


def _contents(reader: DatasetReader) -> str:
    """Return a name of what the dataset holds: converted anew, it is another."""
    facts = json.dumps([reader.episodes, str(reader.spec)], default=str, sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
