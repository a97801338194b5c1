"""The two ends of a trained policy as graphs of a bundle; the passes between are in `scale_graph`.

Everything from bytes of an image to metres of an action is inside; keys and values go in and out,
so that a runtime decides where they live. A bundle is for one robot: what follows the encoder has
no batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.vision import center_crop


class EncoderGraph(nn.Module):
    """Images, state and task to the first scale's input and all AdaLN vectors.

    Args:
        network: Trained.
        crop_px: Width and height that it looks at.
        several_tasks: Whether there is an input `task`.
    """

    ones: Tensor

    def __init__(
        self, network: CarpPolicyNetwork, crop_px: tuple[int, int], *, several_tasks: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.cameras = tuple(network.eyes)
        config = network.transformer.config
        # of every block two gates, two scales, two shifts; of the head a scale and a shift
        ones = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0] * config.depth + [1.0, 0.0])
        self.register_buffer("ones", ones.repeat_interleave(config.width))
        self._crop_px, self._several_tasks = crop_px, several_tasks

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return `start` (G l_0, E) and `modulation` (M,), in which a scale of 0 is 1 already."""
        seen = inputs[: len(self.cameras)]
        state, *task = inputs[len(self.cameras) :]
        images = {c: center_crop(x, self._crop_px) for c, x in zip(self.cameras, seen)}
        condition = self.network.condition(images, state, task[0] if self._several_tasks else None)
        transformer = self.network.transformer
        return transformer.start(condition)[0], transformer.modulation(condition)[0] + self.ones


class DecoderGraph(nn.Module):
    """The latent after any scale to actions."""

    def __init__(self, network: CarpPolicyNetwork) -> None:
        super().__init__()
        self.tokenizer = network.tokenizer

    def forward(self, latent: Tensor, state: Tensor) -> Tensor:
        """Return `actions` (1, H, 10) in SI units, of `latent` (G, C, L) and `state` (1, 10)."""
        # a sum that is nothing keeps the input where actions are absolute anyway
        return self.tokenizer.decode(latent[None], state) + 0.0 * state[:, None]
