"""What FASTer's action expert needs of a vision-language model: keys and values of its context.

Shapes: B batch, V cameras, T tokens of an image, R rows of what is seen in it, S tokens of the
context, d width, w width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

KeysValues = list[tuple[Tensor, Tensor]]
"""Of each layer: keys, turned by their positions, and values, each (B, kv_heads, S, w)."""


@dataclass(frozen=True)
class BackboneShape:
    """What an action expert must have in common with a backbone to attend to its context.

    Attributes:
        layers, width: Of the backbone.
        heads, kv_heads, head_width: Of its attention; the expert's too.
        rope_base: Of its rotary positions.
        scale: Of attention's logits, usually `head_width ** -0.5`.
        softcap: Bound of attention's logits, as in Gemma 2; None for none.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    rope_base: float
    scale: float
    softcap: float | None = None


class Backbone(Protocol):
    """A vision-language model; an `nn.Module`."""

    @property
    def shape(self) -> BackboneShape:
        """What an expert must have in common with it."""
        ...

    def embed_images(self, images: Tensor) -> Tensor:
        """Return what is seen, (B, V R, d), in images (B, V, 3, H, W) in [-1, 1]."""
        ...

    def embed_image(self, images: Tensor, camera: int) -> Tensor:
        """Return what is seen, (B, R, d), in images (B, 3, H, W) of one camera, by its number."""
        ...

    def look(self, seen: Tensor, text: Tensor, is_real: Tensor) -> Tensor:
        """Return the images' tokens of the context, (B, V T, d).

        Args:
            seen: Of all cameras, from `embed_images`.
            text: Embeddings, which may say what to look for, (B, L, d).
            is_real: Which of them are no padding, (B, L).
        """
        ...

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Return the embeddings, (B, L, d), of text tokens (B, L)."""
        ...

    def prefill(self, embeddings: Tensor, is_real: Tensor, positions: Tensor) -> KeysValues:
        """Return what an expert attends to.

        Args:
            embeddings: Of images and text, of shape (B, S, d).
            is_real: False for padding, which nothing attends to, of shape (B, S).
            positions: Of shape (B, S).
        """
        ...
