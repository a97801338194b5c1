"""What is made up in training, beside the random crop of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_POSITION, _ROT6D = slice(0, 3), slice(3, 9)  # of `inference.layout`

States = npt.NDArray[np.float32]


@dataclass(frozen=True)
class StateNoise:
    """How far a measured state is moved from where it was.

    True actions, seen from a state that is a little off, lead back: that is what the policy learns.
    Tokenizer and policy are trained with the same noise, for the tokenizer must have seen what the
    policy is to say.

    Attributes:
        position_m: Standard deviation of each coordinate.
        rot6d: And of each number of the rotation.
    """

    position_m: float = 0.0
    rot6d: float = 0.0

    def moved(self, states: States, generator: np.random.Generator) -> States:
        """Return states (B, 10), moved; the very ones if there is no noise."""
        if not self.position_m and not self.rot6d:
            return states
        states = states.copy()
        noise = generator.standard_normal((len(states), 9)).astype(np.float32)
        states[:, _POSITION] += self.position_m * noise[:, :3]
        states[:, _ROT6D] += self.rot6d * noise[:, 3:]
        return states
