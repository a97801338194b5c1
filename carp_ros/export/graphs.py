"""The ends of a trained policy as graphs of a bundle; the passes between are in `scale_graph`.

Everything from bytes of an image to metres of an action is inside. A camera has a graph of its own,
so that an image can be looked at when it comes, and not when the policy is asked. A bundle is for
one robot: what follows the cameras has no batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.vision import center_crop


class VisionGraph(nn.Module):
    """An image of one camera to its features.

    Args:
        encoder: Trained.
        crop_px: Width and height that it looks at.
    """

    def __init__(self, encoder: nn.Module, crop_px: tuple[int, int]) -> None:
        super().__init__()
        self.eye = encoder
        self._crop_px = crop_px

    def forward(self, image: Tensor) -> Tensor:
        """Return `features` (1, F) of an image, uint8 (1, h, w, 3)."""
        return self.eye(center_crop(image, self._crop_px))


class ConditionGraph(nn.Module):
    """What was seen and measured, and the task, to the first scale's input and all AdaLN vectors.

    Args:
        network: Trained.
        several_tasks: Whether the last input is `task`.

    Attributes:
        outputs: Names of what it returns.
    """

    ones: Tensor

    def __init__(self, network: CarpPolicyNetwork, *, several_tasks: bool) -> None:
        super().__init__()
        self.network = network
        self._several_tasks = several_tasks
        config = network.transformer.config
        # of every block two gates, two scales, two shifts; of the head a scale and a shift
        ones = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0] * config.depth + [1.0, 0.0])
        self.outputs = ["start", *(f"modulation_{i}" for i in range(len(ones)))]
        self.register_buffer("ones", ones.repeat_interleave(config.width))
        self._width = config.width

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `start` (G l_0, E), and vectors (E,) in which a scale of 0 is 1 already.

        Args:
            inputs: Features (1, F) of each camera, the state (1, S), and the task (1,).
        """
        task = inputs[-1] if self._several_tasks else None
        *seen, state = inputs[:-1] if self._several_tasks else inputs
        condition = self.network.fuse(seen, state, task)
        transformer = self.network.transformer
        vectors = transformer.modulation(condition).flatten() + self.ones
        return transformer.start(condition).flatten(0, 1), *vectors.split(self._width)


class DecoderGraph(nn.Module):
    """The latent after any scale to actions."""

    def __init__(self, network: CarpPolicyNetwork) -> None:
        super().__init__()
        self.tokenizer = network.tokenizer

    def forward(self, latent: Tensor, state: Tensor) -> Tensor:
        """Return `actions` (1, H, 10) in SI units, of `latent` (G, C, L) and `state` (1, 10)."""
        # a sum that is nothing keeps the input where actions are absolute anyway
        return self.tokenizer.decode(latent[None], state) + 0.0 * state[:, None]
