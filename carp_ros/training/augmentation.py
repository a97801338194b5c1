"""What is made up in training, beside the random crop of images.

Chance is drawn for the global batch, so that several ranks train as one.
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
    """How far a measured pose of a tool is moved from where it was; other states stay.

    True actions, seen from a state that is a little off, lead back: that is what the policy learns.
    The tokenizer is trained with noise, too, for it must have seen what the policy is to say.

    Attributes:
        position_m: Standard deviation of each coordinate.
        rot6d: And of each number of the rotation.
    """

    position_m: Annotated[float, Between(0.0, 1.0)] = 0.0
    rot6d: Annotated[float, Between(0.0, 1.0)] = 0.0

    def moved(self, states: States, generator: np.random.Generator, layout: Layout) -> States:
        """Return states (B, S), moved; the very ones if there is no noise, or no tool in them."""
        if layout.kind != "tool" or not (self.position_m or self.rot6d):
            return states
        states = states.copy()
        noise = generator.standard_normal((len(states), 9)).astype(np.float32)
        states[:, _POSITION] += self.position_m * noise[:, :3]
        states[:, _ROT6D] += self.rot6d * noise[:, 3:]
        return states


@dataclass(frozen=True)
class ColourJitter:
    """How far the light of images is changed: they were taken under few lamps.

    Attributes:
        contrast: Standard deviation of each image's contrast around 1.
        brightness: Standard deviation of what is added to each image, of values -1 to 1.
        tint: And to each of its colours.
    """

    contrast: Annotated[float, Between(0.0, 10.0)] = 0.0
    brightness: Annotated[float, Between(0.0, 10.0)] = 0.0
    tint: Annotated[float, Between(0.0, 10.0)] = 0.0

    def applied(
        self, images: dict[str, Tensor], count: int, part: slice, generator: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return images by camera, each of shape (B, 3, h, w), in other light.

        Args:
            images: Of this rank.
            count: Images of a camera in the global batch.
            part: Which of them these are.
            generator: Of chance.
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
