"""CARP as it is trained and exported: cameras and state in, actions in SI units out.

The parts are those of the paper: one encoder per camera, the measured state concatenated to their
features, the coarse-to-fine transformer and the tokenizer's decoder. Scaling is part of the
network, so that callers can't get it wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.networks.carp_transformer import CarpTransformer, Generated, TransformerConfig
from carp_ros.networks.scaling import Scaling
from carp_ros.networks.vision import ResNetEncoder, SmallEncoder
from carp_ros.strict import Between


@dataclass(frozen=True)
class ImageEncoderConfig:
    """Image encoder of each camera.

    Attributes:
        kind: `small`, for CPUs, or `resnet18`, as in the paper's image policy.
        image_px: Width and height to which camera images are resized.
        crop_px: Width and height of the crop: at a random place in training, central in use.
        width: Features per camera.
    """

    kind: Literal["small", "resnet18"] = "small"
    image_px: Annotated[tuple[int, int], Between(4, 4096)] = (112, 84)
    crop_px: Annotated[tuple[int, int], Between(4, 4096)] = (104, 76)
    width: Annotated[int, Between(1, 10_000)] = 64

    def __post_init__(self) -> None:
        if self.crop_px[0] > self.image_px[0] or self.crop_px[1] > self.image_px[1]:
            raise ValueError(
                f"crop_px is {self.crop_px}; expected a part of the image, {self.image_px}"
            )


class CarpPolicyNetwork(nn.Module):
    """Maps images, state and task to a plan.

    Args:
        cameras: Their names.
        encoder: Image encoder of each camera.
        state_size: S, size of the measured state, over all observation steps.
        tokenizer: Already trained; frozen here.
        transformer: Its size; `features` must be the fusion's width or, without fusion, the
            `condition_size`.
        fusion: Width of a hidden layer that mixes camera features and state; 0, as published, has
            none.
        sharpness: Inverse temperature of the mean over codes, see `CarpTransformer.generate`; None,
            as published, takes the likeliest tokens.
        committed: P, most steps that an arm may be committed to when a plan begins: see
            `committed`. 0, as published, for a network that is not told.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        encoder: ImageEncoderConfig,
        state_size: int,
        tokenizer: ActionTokenizer,
        transformer: TransformerConfig,
        fusion: int = 0,
        sharpness: float | None = None,
        committed: int = 0,
    ) -> None:
        super().__init__()
        self.committed_steps = committed
        self.sharpness = sharpness
        self.image_encoders = nn.ModuleDict({name: encoder_of(encoder) for name in cameras})
        self.state_scaling = Scaling(state_size)
        actions = tokenizer.config.vq.dimensions
        size = condition_size(cameras, encoder, state_size, committed, actions)
        self.fusion = nn.Sequential(nn.Linear(size, fusion), nn.ReLU()) if fusion else nn.Identity()
        self.tokenizer = tokenizer.requires_grad_(False)
        self.transformer = CarpTransformer(transformer)

    def train(self, mode: bool = True) -> CarpPolicyNetwork:
        """Set the mode of every part but the frozen tokenizer."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def condition(
        self,
        images: dict[str, Tensor],
        state: Tensor,
        task: Tensor | None,
        committed: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the condition of the plan, (B, E).

        Args:
            images: By camera, RGB in [-1, 1], cropped, of shape (B, 3, h, w).
            state: Measured, in SI units, of shape (B, S).
            task: Task index of each sample, of shape (B,); None if there is only one task.
            committed: Actions in SI units, (B, P, A), from the observation on, and how many of them
                are fixed, (B,); None for none.
        """
        features = [encoder(images[name]) for name, encoder in self.image_encoders.items()]
        return self.fuse(features, state, task, committed)

    def fuse(
        self,
        features: Sequence[Tensor],
        state: Tensor,
        task: Tensor | None,
        committed: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the same as `condition`, from image features (B, F) of each camera."""
        parts = [*features, self.state_scaling(state)]
        if self.committed_steps:
            parts.append(self._going_on(state, committed))
        return self.transformer.condition(self.fusion(torch.cat(parts, dim=1)), task)

    def _going_on(self, state: Tensor, committed: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return committed actions as (B, P (A + 1)): normalised, and whether each is fixed."""
        size = self.committed_steps * (self.tokenizer.config.vq.dimensions + 1)
        if committed is None:
            return state.new_zeros(len(state), size)
        actions, count = committed
        steps = torch.arange(self.committed_steps, device=count.device)
        fixed = (steps < count[:, None]).to(state)[..., None]
        numbers = self.tokenizer.normalised(actions, state) * fixed
        return torch.cat((numbers, fixed), dim=-1).flatten(1)

    def generate(self, condition: Tensor) -> Generated:
        """Generate a plan for a condition (B, E)."""
        return self.transformer.generate(self.tokenizer.vq, condition, sharpness=self.sharpness)


def condition_size(
    cameras: tuple[str, ...],
    encoder: ImageEncoderConfig,
    state_size: int,
    committed: int = 0,
    action_size: int = 0,
) -> int:
    """Return how many numbers there are before any fusion layer.

    Args:
        cameras: Their names.
        encoder: Image encoder of each.
        state_size: S.
        committed: P, committed steps.
        action_size: A, numbers of each.
    """
    return len(cameras) * encoder.width + state_size + committed * (action_size + 1)


def encoder_of(encoder: ImageEncoderConfig) -> nn.Module:
    """Return an untrained image encoder, (B, 3, h, w) to (B, width)."""
    kind = {"small": SmallEncoder, "resnet18": ResNetEncoder}[encoder.kind]
    return kind(encoder.crop_px, encoder.width)
