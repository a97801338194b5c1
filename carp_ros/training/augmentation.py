"""Data augmentation, other than the random crop of images.

Random numbers are drawn for the global batch, so that the result does not depend on the number of
ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from torch import Tensor

from carp_ros.inference.layout import Layout
from carp_ros.strict import Between
from carp_ros.training.device import to_device

_POSITION, _ROT6D = slice(0, 3), slice(3, 9)  # of `inference.layout`

States = npt.NDArray[np.float32]


@dataclass(frozen=True)
class StateNoise:
    """Gaussian noise on the measured tool pose; other states are left as they are.

    Relative to a slightly wrong state, the true actions lead back, so the policy learns to correct
    errors. The tokenizer is trained with noise too, as it must represent those corrections.

    Attributes:
        position_m: Standard deviation of each coordinate.
        rot6d: Standard deviation of each number of the rotation.
    """

    position_m: Annotated[float, Between(0.0, 1.0)] = 0.0
    rot6d: Annotated[float, Between(0.0, 1.0)] = 0.0

    def applied(self, states: States, generator: np.random.Generator, layout: Layout) -> States:
        """Return states (B, S) with noise; the same array if there is no noise or no tool pose."""
        if layout.kind != "tool" or not (self.position_m or self.rot6d):
            return states
        states = states.copy()
        noise = generator.standard_normal((len(states), 9)).astype(np.float32)
        states[:, _POSITION] += self.position_m * noise[:, :3]
        states[:, _ROT6D] += self.rot6d * noise[:, 3:]
        return states


@dataclass(frozen=True)
class ColourJitter:
    """Random changes of contrast, brightness and tint, for robustness to other lighting.

    Attributes:
        contrast: Standard deviation of each image's contrast around 1.
        brightness: Standard deviation of the offset of each image, whose values are in [-1, 1].
        tint: Standard deviation of a further offset of each colour channel.
    """

    contrast: Annotated[float, Between(0.0, 10.0)] = 0.0
    brightness: Annotated[float, Between(0.0, 10.0)] = 0.0
    tint: Annotated[float, Between(0.0, 10.0)] = 0.0

    def applied(
        self, images: dict[str, Tensor], count: int, part: slice, generator: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return images by camera, each of shape (B, 3, h, w), with changed colours.

        Args:
            images: Of this rank.
            count: Images per camera in the global batch.
            part: The slice of the global batch that `images` are.
            generator: Random number generator.
        """
        if not (self.contrast or self.brightness or self.tint):
            return images
        changed = {}
        for camera, taken in images.items():
            draw = generator.standard_normal((count, 5)).astype(np.float32)[part]
            gain = 1.0 + self.contrast * draw[:, :1]
            offset = self.brightness * draw[:, 1:2] + self.tint * draw[:, 2:]
            gain, offset = (
                to_device(numbers[:, :, None, None], taken.device) for numbers in (gain, offset)
            )
            changed[camera] = taken * gain + offset
        return changed
