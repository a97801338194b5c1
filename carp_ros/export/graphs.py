"""The first and last graphs of a CARP bundle; those of the scales are in `scale_graph`.

Together, the graphs cover everything from image bytes to actions in SI units. Each camera has its
own graph, so that an image is encoded when it arrives rather than when the policy is asked. A
bundle is for one robot, so there is no batch dimension after the image encoders.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.vision import center_crop


class VisionGraph(nn.Module):
    """Encodes one camera's image to features.

    Args:
        encoder: Trained.
        crop_px: Width and height of its crop.
    """

    def __init__(self, encoder: nn.Module, crop_px: tuple[int, int]) -> None:
        super().__init__()
        self.eye = encoder
        self._crop_px = crop_px

    def forward(self, image: Tensor) -> Tensor:
        """Return `features` (1, F) of an image, uint8 (1, h, w, 3)."""
        return self.eye(center_crop(image, self._crop_px))


class ConditionGraph(nn.Module):
    """Maps features, state and task to the first scale's input and all AdaLN vectors.

    Args:
        network: Trained.
        several_tasks: Whether `task` is an input.

    Attributes:
        outputs: Names of the outputs.
    """

    ones: Tensor

    def __init__(self, network: CarpPolicyNetwork, *, several_tasks: bool) -> None:
        super().__init__()
        self.network = network
        self._several_tasks = several_tasks
        config = network.transformer.config
        # per block two gates, two scales, two shifts; for the head a scale and a shift
        ones = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0] * config.depth + [1.0, 0.0])
        self.outputs = ["start", *(f"modulation_{i}" for i in range(len(ones)))]
        self.register_buffer("ones", ones.repeat_interleave(config.width))
        self._width = config.width

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `start` (G l_0, E), and AdaLN vectors (E,) whose scales already have the 1 added.

        Args:
            inputs: Features (1, F) of each camera, the state (1, S), the task (1,) if there are
                several, and committed actions (1, P, A) and their count (1,) if it takes them.
        """
        committed = None
        if self.network.committed_steps:
            committed, inputs = (inputs[-2], inputs[-1]), inputs[:-2]
        task = inputs[-1] if self._several_tasks else None
        *seen, state = inputs[:-1] if self._several_tasks else inputs
        condition = self.network.fuse(seen, state, task, committed)
        transformer = self.network.transformer
        vectors = transformer.modulation(condition).flatten() + self.ones
        return transformer.start(condition).flatten(0, 1), *vectors.split(self._width)


class DecoderGraph(nn.Module):
    """Decodes the latent after any scale to actions."""

    def __init__(self, network: CarpPolicyNetwork) -> None:
        super().__init__()
        self.tokenizer = network.tokenizer

    def forward(self, latent: Tensor, state: Tensor) -> Tensor:
        """Return `actions` (1, H, A) in SI units, of `latent` (G, C, L) and `state` (1, S)."""
        # adding zero keeps `state` as an input even where actions are absolute
        return self.tokenizer.decode(latent[None], state) + 0.0 * state.sum()
