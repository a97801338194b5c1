"""A vision-language model small enough to be trained from scratch on two CPU cores.

Convolutions turn each image into a grid of tokens, which a decoder reads together with the text.
Tokens of an image and of the prompt see one another, as PaliGemma's prefix does. Nothing generates
text, so there is no head for it.

Shapes: B batch, V cameras, T tokens of an image, L of the text, S = V T + L, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from carp_ros.networks.attention import JointLayer
from carp_ros.networks.backbone import BackboneShape, KeysValues
from carp_ros.strict import Between

_GROUP = 16  # channels of a group of a norm
_INIT_STD = 0.02


@dataclass(frozen=True)
class TinyBackboneConfig:
    """Sizes of a `TinyBackbone`.

    Attributes:
        cameras: V.
        image_px: Width and height of the images, multiples of 16.
        vocabulary: Ids of the text.
        width, layers, heads, kv_heads, hidden: Of the decoder.
        channels: Of the four convolutions that halve an image, multiples of 16.
    """

    cameras: Annotated[int, Between(1, 16)]
    image_px: Annotated[tuple[int, int], Between(16, 4096)]
    vocabulary: Annotated[int, Between(2, 1_000_000)]
    width: Annotated[int, Between(8, 16_384)] = 128
    layers: Annotated[int, Between(1, 100)] = 4
    heads: Annotated[int, Between(1, 128)] = 4
    kv_heads: Annotated[int, Between(1, 128)] = 2
    hidden: Annotated[int, Between(8, 65_536)] = 256
    channels: Annotated[tuple[int, int, int, int], Between(16, 4096)] = (32, 48, 64, 96)

    def __post_init__(self) -> None:
        if any(px % 16 for px in self.image_px):
            raise ValueError(f"image_px is {self.image_px}; expected multiples of 16")
        if self.width % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError(
                f"width, heads and kv_heads are {self.width}, {self.heads}, {self.kv_heads};"
                " expected an even width of each head, and as many heads for each of kv_heads"
            )


class TinyBackbone(nn.Module):
    """Implements `backbone.Backbone`."""

    def __init__(self, config: TinyBackboneConfig) -> None:
        super().__init__()
        self.config = config
        head_width = config.width // config.heads
        self.shape = BackboneShape(
            layers=config.layers,
            width=config.width,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_width=head_width,
            rope_base=10_000.0,
            scale=head_width**-0.5,
        )
        columns, rows = (px // 16 for px in config.image_px)
        stages, before = [], 3
        for channels in config.channels:
            stages += _halving(before, channels)
            before = channels
        self.eye = nn.Sequential(*stages)
        self.to_width = nn.Linear(before, config.width)
        self.place = nn.Parameter(_INIT_STD * torch.randn(rows * columns, config.width))
        self.camera = nn.Parameter(_INIT_STD * torch.randn(config.cameras, 1, config.width))
        self.text = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.text.weight, std=_INIT_STD)
        self.layers = nn.ModuleList(
            JointLayer(self.shape, config.width, config.hidden) for _ in range(config.layers)
        )

    def embed_images(self, images: Tensor) -> Tensor:
        """Return the tokens, (B, V T, d), of images (B, V, 3, H, W) in [-1, 1]."""
        seen = self.eye(images.flatten(0, 1)).flatten(2).transpose(1, 2)  # (B V, T, channels)
        tokens = self.to_width(seen).unflatten(0, (-1, self.config.cameras))
        return (tokens + self.place + self.camera).flatten(1, 2)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Return the embeddings, (B, L, d), of text tokens (B, L)."""
        return self.text(tokens)

    def prefill(self, embeddings: Tensor, is_real: Tensor, positions: Tensor) -> KeysValues:
        """Return the keys and values of each layer; see `Backbone.prefill`."""
        mask = is_real[:, None, :].expand(-1, embeddings.shape[1], -1)
        x, context = embeddings, []
        for layer in self.layers:
            x, own = layer(x, positions, mask)
            context.append(own)
        return context


def _halving(channels_in: int, channels_out: int) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, 3, 2, padding=1, bias=False)
    return [conv, nn.GroupNorm(channels_out // _GROUP, channels_out), nn.ReLU()]
