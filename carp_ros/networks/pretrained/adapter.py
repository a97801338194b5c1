"""What the adapters of published models share: one way to run their decoders.

The decoders call an attention function that is registered here with `transformers`. It computes
what the action expert's attention computes, by the same function, and hands over keys and values as
they enter it, after their turn by positions. So no cache of the library is involved, the mask may
be any, and soft-capped logits of Gemma 2 are those of the expert.

Shapes: B batch, V cameras, T tokens of an image, L of the text, S = V T + L, d width.
"""

# The extra `vlm` is not among what is installed to check types.
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from carp_ros.inference.published_words import PublishedWords
from carp_ros.networks.attention import attended
from carp_ros.networks.backbone import BackboneShape, KeysValues
from carp_ros.networks.resampling import smooth_bicubic_matrix

ATTENTION = "carp_ros"
"""Name under which `transformers` knows the attention function."""


class PretrainedBackbone(nn.Module):
    """Implements `backbone.Backbone` with a published model.

    Images are scaled to a square, cut into no tiles, and stand before the text without markers, as
    in SmolVLA (arXiv:2506.01844). Positions may begin anywhere: only distances count.

    Attributes:
        image_px: Side of the square that images are scaled to.
        words: The text's tokenizer; None for weights at random.

    Args:
        model: The published model without its language-modelling head.
        image_px: Side of the square; None for the published one.
    """

    model: Any  # whose attributes are the library's
    VISION: ClassVar[tuple[str, ...]]
    """Patterns of the names of the vision tower's parameters, for `freezing`."""
    DECODER: ClassVar[str]
    """Name of the decoder."""
    CAUSAL: ClassVar[bool]
    """Whether a token sees only those before it."""

    def __init__(self, model: nn.Module, image_px: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.words: PublishedWords | None = None
        self.image_px = self._published_px() if image_px is None else image_px
        self._require_px(self.image_px)
        _use_own_attention(self._decoder)
        self.shape = _shape_of(self._decoder)
        self._window = _window_of(self._decoder)

    def embed_images(self, images: Tensor) -> Tensor:
        """Return the tokens, (B, V T, d), of images (B, V, 3, H, W) in [-1, 1]."""
        flat = scaled(images.flatten(0, 1), self.image_px)
        tokens = self._tokens_of(flat.to(self._decoder.embed_tokens.weight.dtype))
        return tokens.unflatten(0, images.shape[:2]).flatten(1, 2)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Return the embeddings, (B, L, d), of tokens (B, L) that `words` gave; 0 is padding."""
        return self._decoder.embed_tokens((tokens - 1).clamp(min=0))

    def prefill(self, embeddings: Tensor, is_real: Tensor, positions: Tensor) -> KeysValues:
        """Return the keys and values of each layer; see `Backbone.prefill`.

        Raises:
            ValueError: If the context is longer than the window that some layers attend within.
        """
        if self._window is not None and embeddings.shape[1] > self._window:
            raise ValueError(
                f"the context has {embeddings.shape[1]} tokens; expected {self._window} at most,"
                " the window that some layers attend within: use fewer cameras or smaller images"
            )
        known: dict[int, tuple[Tensor, Tensor]] = {}
        self._decoder(
            inputs_embeds=embeddings,
            attention_mask=context_mask(is_real, causal=self.CAUSAL)[:, None],
            position_ids=positions,
            use_cache=False,
            known=known,
        )
        return [known[layer] for layer in range(self.shape.layers)]

    def embed_image(self, images: Tensor, camera: int) -> Tensor:
        """Return the tokens, (B, T, d), of one camera's images (B, 3, H, W) in [-1, 1]."""
        return self.embed_images(images[:, None])

    def look(self, seen: Tensor, text: Tensor, is_real: Tensor) -> Tensor:
        """Return what is seen as it is: the decoder lets the text look at it."""
        return seen

    def first_tokens(self) -> tuple[int, ...]:
        """Return the ids that a prompt begins with, as `words` gives them."""
        return ()

    @property
    def _decoder(self) -> Any:
        return self.model.get_submodule(self.DECODER)

    def _published_px(self) -> int:
        """Return the side of the square that the model was trained with."""
        raise NotImplementedError

    def _require_px(self, image_px: int) -> None:
        """Raise ValueError unless the vision tower takes squares of this side."""
        raise NotImplementedError

    def _tokens_of(self, images: Tensor) -> Tensor:
        """Return the tokens, (B V, T, d), of square images in [-1, 1]."""
        raise NotImplementedError


def scaled(images: Tensor, image_px: int) -> Tensor:
    """Return images (B, 3, H, W) in [-1, 1] as squares of a side, smoothed where they shrink."""
    if images.shape[-2:] == (image_px, image_px):
        return images
    rows, columns = (smooth_bicubic_matrix(int(px), image_px) for px in images.shape[-2:])
    square = rows.to(images) @ images @ columns.to(images).T
    return square.clamp(-1.0, 1.0)  # cubic weights overshoot at edges


def context_mask(is_real: Tensor, *, causal: bool) -> Tensor:
    """Return which tokens each token attends to, bool (B, S, S).

    Args:
        is_real: False for padding, which no other token attends to, of shape (B, S).
        causal: Whether tokens see only those before them.
    """
    count = is_real.shape[1]
    places = torch.arange(count, device=is_real.device)
    mask = is_real[:, None, :].expand(-1, count, -1)
    if causal:
        mask = mask & (places <= places[:, None])
    # Padding sees itself: a softmax over nothing is not a number, and would spread from there.
    return mask | (places == places[:, None])


def require_multiple(image_px: int, step: int, most: int | None = None) -> None:
    """Raise ValueError unless a side is a multiple of `step`, and `most` at most."""
    if image_px < step or image_px % step or (most is not None and image_px > most):
        limit = "" if most is None else f" up to {most}"
        raise ValueError(f"image_px is {image_px}; expected a multiple of {step}{limit}")


def _use_own_attention(decoder: Any) -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attention)
    decoder.set_attn_implementation(ATTENTION)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    known: dict[int, tuple[Tensor, Tensor]],
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend as `transformers` asks for, (B, N, heads, w), and hand keys and values over."""
    known[int(module.layer_idx)] = (key, value)  # pyright: ignore[reportArgumentType]
    mixed = attended(query, key, value, attention_mask, scaling, softcap)
    return mixed.transpose(1, 2), None


def _shape_of(decoder: Any) -> BackboneShape:
    config, attention = decoder.config, decoder.layers[0].self_attn
    rotary = config.rope_parameters
    if rotary["rope_type"] != "default":
        raise ValueError(
            f"rope_type is {rotary['rope_type']}; expected default, as the expert's positions are"
        )
    return BackboneShape(
        layers=len(decoder.layers),
        width=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_width=attention.head_dim,
        rope_base=rotary["rope_theta"],
        scale=attention.scaling,
        softcap=getattr(config, "attn_logit_softcapping", None),
    )


def _window_of(decoder: Any) -> int | None:
    """Return the fewest tokens that some layer attends within; None if all see everything."""
    windows = (getattr(layer.self_attn, "sliding_window", None) for layer in decoder.layers)
    return min((window for window in windows if window is not None), default=None)
