"""A vision-language model small enough to be trained from scratch on two CPU cores.

Convolutions find where things are in an image (spatial softmax: exact places from few
demonstrations, which patches of a transformer need far more of), what the text names is looked for
in what they made of it (`looking`), and a decoder reads what was found together with the text.
Tokens of an image and of the prompt see one another, as PaliGemma's prefix does. Nothing generates
text, so there is no head for it.

Shapes: B batch, V cameras, T tokens of an image, n cells of it, Q looks at it, L tokens of the
text, S = V (T + Q) + L, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from carp_ros.networks.attention import JointLayer
from carp_ros.networks.backbone import BackboneShape, KeysValues
from carp_ros.networks.looking import Looking
from carp_ros.networks.vision import SpatialSoftmax
from carp_ros.strict import Between

_SHRUNK = 8  # by the convolutions
_GROUP = 16  # channels of a group of a norm
_INIT_STD = 0.02


@dataclass(frozen=True)
class TinyBackboneConfig:
    """Sizes of a `TinyBackbone`.

    Attributes:
        cameras: V.
        image_px: Width and height of the images, multiples of 8.
        image_tokens: T.
        looks: Q.
        vocabulary: Ids of the text.
        width, layers, heads, kv_heads, hidden: Of the decoder.
        channels: Of four convolutions, of which three halve an image; multiples of 16.
    """

    cameras: Annotated[int, Between(1, 16)]
    image_px: Annotated[tuple[int, int], Between(8, 4096)]
    vocabulary: Annotated[int, Between(2, 1_000_000)]
    image_tokens: Annotated[int, Between(1, 1000)] = 8
    looks: Annotated[int, Between(1, 1000)] = 8
    width: Annotated[int, Between(8, 16_384)] = 96
    layers: Annotated[int, Between(1, 100)] = 4
    heads: Annotated[int, Between(1, 128)] = 4
    kv_heads: Annotated[int, Between(1, 128)] = 2
    hidden: Annotated[int, Between(8, 65_536)] = 192
    channels: Annotated[tuple[int, int, int, int], Between(16, 4096)] = (32, 48, 64, 64)

    def __post_init__(self) -> None:
        if any(px % _SHRUNK for px in self.image_px):
            raise ValueError(f"image_px is {self.image_px}; expected multiples of {_SHRUNK}")
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
        columns, rows = (px // _SHRUNK for px in config.image_px)
        one, two, three, four = config.channels
        self.eye = nn.Sequential(
            *_convolution(3, one, 5, 2),
            *_convolution(one, two, 3, 2),
            *_convolution(two, three, 3, 2),
            *_convolution(three, four, 3, 1),
        )
        self.pool = SpatialSoftmax(four, (rows, columns), four)
        self.to_tokens = nn.Linear(3 * four, config.image_tokens * config.width)
        self.to_cells = nn.Conv2d(four, config.width, 1)
        self.looking = Looking(config.width, config.looks, config.cameras, (rows, columns))
        self.camera = nn.Parameter(_INIT_STD * torch.randn(config.cameras, 1, config.width))
        self.text = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.text.weight, std=_INIT_STD)
        self.layers = nn.ModuleList(
            JointLayer(self.shape, config.width, config.hidden) for _ in range(config.layers)
        )

    def embed_images(self, images: Tensor) -> Tensor:
        """Return tokens and cells, (B, V (T + n), d), of images (B, V, 3, H, W) in [-1, 1]."""
        tokens = self._seen_in(images.flatten(0, 1)).unflatten(0, (-1, self.config.cameras))
        return (tokens + self.camera).flatten(1, 2)

    def embed_image(self, images: Tensor, camera: int) -> Tensor:
        """Return tokens and cells, (B, T + n, d), of images (B, 3, H, W) of one camera."""
        return self._seen_in(images) + self.camera[camera]

    def _seen_in(self, images: Tensor) -> Tensor:
        """Return what is seen in images (M, 3, H, W) of any camera, (M, T + n, d)."""
        seen = self.eye(images.contiguous(memory_format=torch.channels_last))
        found = torch.cat((self.pool(seen).flatten(1), seen.amax(dim=(2, 3))), dim=1)
        tokens = self.to_tokens(found).unflatten(1, (self.config.image_tokens, -1))
        return torch.cat((tokens, self.to_cells(seen).flatten(2).transpose(1, 2)), dim=1)

    def look(self, seen: Tensor, text: Tensor, is_real: Tensor) -> Tensor:
        """Return the images' tokens, (B, V (T + Q), d); see `Backbone.look`."""
        each, count = seen.unflatten(1, (self.config.cameras, -1)), self.config.image_tokens
        found = self.looking(each[:, :, count:], text, is_real)
        return torch.cat((each[:, :, :count], found), dim=2).flatten(1, 2)

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


def _convolution(
    channels_in: int, channels_out: int, kernel: int, stride: int
) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    return conv, nn.GroupNorm(channels_out // _GROUP, channels_out), nn.ReLU()
