"""Holds a dataset's images in GPU memory if they fit, else on disk, and returns crops of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from carp_ros.networks.vision import center_crop, random_crop
from carp_ros.training.device import to_device
from carp_ros.training.images import CameraImages
from carp_ros.training.windows import Indices

_MOST_OF_MEMORY = 0.5  # of the GPU's free memory; the training needs the rest


class ImageStore:
    """Returns crops of a dataset's images.

    Args:
        images: By camera, of all frames; may be memory-mapped.
        crop_px: Width and height of the crops.
        device: Device of the crops.
    """

    def __init__(
        self, images: CameraImages, crop_px: tuple[int, int], device: torch.device
    ) -> None:
        self._crop_px, self._device = crop_px, device
        fits = device.type == "cuda" and (
            sum(taken.nbytes for taken in images.values())
            < _MOST_OF_MEMORY * torch.cuda.mem_get_info(device)[0]
        )
        self._on_disk = {} if fits else images
        self._on_device = (
            {name: torch.from_numpy(np.array(taken)).to(device) for name, taken in images.items()}
            if fits
            else {}
        )
        self._sizes = {name: (taken.shape[1], taken.shape[2]) for name, taken in images.items()}

    def random_crops(
        self, frames: Indices, part: slice, generator: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return a random crop of each image, by camera, (B, 3, h, w) in [-1, 1].

        Args:
            frames: Of the global batch.
            part: The slice of them to return; random numbers are drawn for all of them.
            generator: Random number generator.
        """
        width, height = self._crop_px
        crops = {}
        for camera, (rows, columns) in self._sizes.items():
            most = rows - height + 1, columns - width + 1
            corners = generator.integers(0, most, (len(frames), 2))[part]
            taken = self._taken(camera, frames[part])
            crops[camera] = random_crop(taken, to_device(corners, self._device), self._crop_px)
        return crops

    def center_crops(self, frames: Indices) -> dict[str, Tensor]:
        """Return the centre crop of each image, by camera, as on the robot."""
        return {name: center_crop(self._taken(name, frames), self._crop_px) for name in self._sizes}

    def _taken(self, camera: str, frames: Indices) -> Tensor:
        """Return whole images, uint8 (B, H, W, 3)."""
        if camera in self._on_device:
            return self._on_device[camera][to_device(frames, self._device)]
        return to_device(self._on_disk[camera][frames], self._device)
