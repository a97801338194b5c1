"""CARP as it is trained and exported: cameras and state in, actions in SI units out.

The parts are the paper's: an encoder a camera, the measured state beside their features, the
coarse-to-fine transformer, the tokenizer's decoder. What surrounds them is scaling, kept inside so
that nobody outside can get it wrong.
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
    """How images become numbers.

    Attributes:
        kind: `small`, for CPUs, or `resnet18`, as the paper's image policy.
        image_px: Width and height of what the network is given.
        crop_px: Width and height of the part it looks at: anywhere in training, the centre in use.
        width: Features a camera.
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
    """Images, state and task to a plan.

    Args:
        cameras: Their names.
        encoder: Of each camera's images.
        state_size: S, numbers of the measured state, of all its steps.
        tokenizer: Trained before; frozen here.
        transformer: Its size; `features` are the fusion's, or without one as many as
            `condition_size` says.
        fusion: Width of a hidden layer in which cameras and state meet; 0, as published, has none.
        sharpness: Of the mean that plans follow, see `CarpTransformer.generate`; None, as
            published, follows the likeliest tokens.
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
    ) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.image_encoders = nn.ModuleDict({name: encoder_of(encoder) for name in cameras})
        self.state_scaling = Scaling(state_size)
        size = condition_size(cameras, encoder, state_size)
        self.fusion = nn.Sequential(nn.Linear(size, fusion), nn.ReLU()) if fusion else nn.Identity()
        self.tokenizer = tokenizer.requires_grad_(False)
        self.transformer = CarpTransformer(transformer)

    def train(self, mode: bool = True) -> CarpPolicyNetwork:
        """Set the mode of all but the tokenizer, which is not trained."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def condition(self, images: dict[str, Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return what the plan is made from, (B, E).

        Args:
            images: By camera, RGB in [-1, 1], cropped, of shape (B, 3, h, w).
            state: Measured, in SI units, of shape (B, S).
            task: Index of each one's task, of shape (B,); None if there is but one.
        """
        return self.fuse(
            [encoder(images[name]) for name, encoder in self.image_encoders.items()], state, task
        )

    def fuse(self, seen: Sequence[Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return what `condition` does, of the features (B, F) of each camera."""
        features = torch.cat([*seen, self.state_scaling(state)], dim=1)
        return self.transformer.condition(self.fusion(features), task)

    def generate(self, condition: Tensor) -> Generated:
        """Return what is planned under a condition (B, E)."""
        return self.transformer.generate(self.tokenizer.vq, condition, sharpness=self.sharpness)


def condition_size(cameras: tuple[str, ...], encoder: ImageEncoderConfig, state_size: int) -> int:
    """Return how many numbers cameras and state give, before a fusion."""
    return len(cameras) * encoder.width + state_size


def encoder_of(encoder: ImageEncoderConfig) -> nn.Module:
    """Return an image encoder with initial weights, (B, 3, h, w) to (B, width)."""
    kind = {"small": SmallEncoder, "resnet18": ResNetEncoder}[encoder.kind]
    return kind(encoder.crop_px, encoder.width)
