"""One observation of a dataset, as the encoder's inputs; a bundle's golden case is made from it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.files.given_file import given_bytes
from carp_ros.files.whole_file import whole_file
from carp_ros.refusal import refusing
from carp_ros.training.images import CameraImages
from carp_ros.training.windows import Windows

EXAMPLE = "example.npz"

_MOST_BYTES = 100_000_000

GraphInputs = dict[str, npt.NDArray[np.generic]]


def encoder_example(data: Windows, images: CameraImages, window: int) -> GraphInputs:
    """Return the encoder's inputs at a window, each with a leading batch dimension of 1."""
    inputs: GraphInputs = {
        f"image_{camera}": taken[window][None] for camera, taken in images.items()
    }
    inputs["state"] = data.states[window][None]
    if len(data.task_names) > 1:
        inputs["task"] = data.tasks[window][None]
    return inputs


def write_example(folder: Path, inputs: GraphInputs) -> None:
    """Save the inputs to a training's folder."""
    with whole_file(folder / EXAMPLE) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **inputs)


def read_example(folder: Path) -> GraphInputs:
    """Load what `write_example` saved.

    Raises:
        ValueError: If it can't be read, or is too large.
    """
    path = folder / EXAMPLE
    content = given_bytes(path, _MOST_BYTES)
    with refusing(ValueError, str(path)), zipfile.ZipFile(io.BytesIO(content)) as entries:
        if (size := sum(entry.file_size for entry in entries.infolist())) > _MOST_BYTES:
            raise ValueError(f"unpacks to {size} bytes; expected at most {_MOST_BYTES}")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
