"""FASTerVLA (arXiv:2512.04952): images and prompt in, action tokens out.

A backbone reads images and prompt once an observation; an action expert predicts the chunk's
tokens block by block from its keys and values (`action_expert`). With one block per level of the
tokenizer, as many passes as levels make a chunk, and after each there is a complete trajectory.

Shapes: B batch, L text tokens, S tokens of the context, N tokens of a chunk, K codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.inference.words import PADDING
from carp_ros.networks.action_expert import ActionExpert, ExpertConfig
from carp_ros.networks.backbone import Backbone, KeysValues


class Context(NamedTuple):
    """What a backbone made of an observation."""

    known: KeysValues
    is_real: Tensor
    """Which tokens are no padding, (B, S)."""
    last: Tensor
    """Position of the last token that is no padding, (B,)."""
    hint: Tensor | None = None
    """What to add to a block's inputs, (B, block, width of the expert); None for nothing."""


class Embedded(NamedTuple):
    """Tokens of a context that are neither image nor text."""

    tokens: Tensor
    """Of shape (B, n, d)."""
    is_real: Tensor
    """Which of them are no padding, bool (B, n)."""


class FasterVla(nn.Module):
    """Maps images and prompt to the tokens of a chunk.

    Args:
        backbone: An `nn.Module` that implements `Backbone`.
        expert: Sizes of the action expert.
    """

    def __init__(self, backbone: Backbone, expert: ExpertConfig) -> None:
        super().__init__()
        assert isinstance(backbone, nn.Module)
        self.backbone = backbone
        self.expert = ActionExpert(backbone.shape, expert)

    def context(self, images: Tensor, text: Tensor, more: Embedded | None = None) -> Context:
        """Return the context of images (B, V, 3, H, W) in [-1, 1] and text tokens (B, L).

        Args:
            images: Of all cameras.
            text: The prompt.
            more: Further tokens, between images and text.
        """
        return self.context_of(self.backbone.embed_images(images), text, more)

    def context_of(self, seen: Tensor, text: Tensor, more: Embedded | None = None) -> Context:
        """Return the same as `context`, from what is seen in the images, `embed_images`."""
        backbone, words, is_word = self.backbone, self.backbone.embed_text(text), text != PADDING
        found = backbone.look(seen, words, is_word)
        parts = [found, *([more.tokens] if more else []), words]
        real = [text.new_ones(found.shape[:2]).bool(), *([more.is_real] if more else [])]
        embeddings = torch.cat(parts, dim=1)
        is_real = torch.cat((*real, is_word), dim=1)
        positions = is_real.long().cumsum(dim=1) - 1
        known = backbone.prefill(embeddings, is_real, positions.clamp(min=0))
        return Context(known, is_real, positions[:, -1])

    def losses(
        self, context: Context, tokens: Tensor, wanted: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the cross-entropies of demonstrated tokens: the paper's, and by block.

        The end after the last block counts as one token more.

        Args:
            context: Of the observations.
            tokens: Demonstrated, (B, N).
            wanted: Distributions to be predicted, (B, N, K); None for the tokens themselves.
        """
        logits, end = self.expert.teach(tokens, *context)
        config = self.expert.config
        targets = tokens if wanted is None else wanted.transpose(1, 2)
        by_token = F.cross_entropy(logits.transpose(1, 2).float(), targets, reduction="none")
        ends = tokens.new_full(end.shape[:2], self.expert.end_id)
        ended = F.cross_entropy(end.transpose(1, 2).float(), ends, reduction="none").mean(dim=1)
        total = by_token.sum(dim=1) + ended
        blocks = by_token.unflatten(1, (config.blocks, config.block)).mean(dim=(0, 2))
        parts = {f"loss_of_block_{number}": loss for number, loss in enumerate(blocks)}
        right = (
            (logits.argmax(dim=-1) == tokens).float().unflatten(1, (config.blocks, config.block))
        )
        parts |= {
            f"token_accuracy_{number}": share for number, share in enumerate(right.mean(dim=(0, 2)))
        }
        return {"loss": (total / (config.tokens + 1)).mean(), **parts}

    @torch.no_grad()
    def generate(
        self,
        context: Context,
        *,
        blocks: int | None = None,
        temperature: float = 0.0,
        likeliest: int = 50,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the tokens, (B, n), of the first blocks of a chunk, or of all.

        Args:
            context: Of the observation.
            blocks: How many; with fewer, the trajectory is less exact.
            temperature: 0 takes the likeliest code of each token; the paper draws at 0.8.
            likeliest: Codes to draw from at most.
            generator: Of the draws.
        """
        parts = [
            tokens
            for tokens, _ in self._blocks(
                context, blocks, lambda logits: _drawn(logits, temperature, likeliest, generator)
            )
        ]
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def shares(self, context: Context, sharpness: float) -> Tensor:
        """Return the share of each code of each token, (B, n, K), after the likeliest before it.

        Args:
            context: Of the observation.
            sharpness: Power to which probabilities are raised.
        """
        found = self._blocks(context, None, lambda logits: logits.argmax(dim=-1))
        parts = [(sharpness * logits).softmax(dim=-1) for _, logits in found]
        return torch.cat(parts, dim=1)

    def _blocks(
        self, context: Context, blocks: int | None, pick: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the tokens (B, b) that were picked for each block, and their logits (B, b, K)."""
        known, is_real, last, hint = context
        config = self.expert.config
        tokens = is_real.new_zeros(len(is_real), config.block, dtype=torch.int64)
        for block in range(config.blocks if blocks is None else blocks):
            logits, known = self.expert.step(block, tokens, known, is_real, last, hint)
            tokens = pick(logits)
            yield tokens, logits


def _drawn(
    logits: Tensor, temperature: float, likeliest: int, generator: torch.Generator | None
) -> Tensor:
    """Return a code for each token, (B, n), of logits (B, n, K)."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    best, codes = logits.topk(min(likeliest, logits.shape[-1]), dim=-1)
    shares = (best / temperature).softmax(dim=-1)
    picks = torch.multinomial(shares.flatten(0, 1), 1, generator=generator)
    return codes.gather(-1, picks.view(*logits.shape[:2], 1))[..., 0]
