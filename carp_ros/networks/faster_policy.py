"""FASTerVLA (arXiv:2512.04952) as it is trained and exported: images and prompt in, tokens out.

A backbone reads images and prompt once an observation; an action expert predicts the chunk's
tokens block by block from its keys and values (`action_expert`). With one block per level of the
tokenizer, as many passes as levels make a chunk, and after each there is a complete trajectory.

Shapes: B batch, L text tokens, S tokens of the context, N tokens of a chunk, K codes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.action_expert import ActionExpert, ExpertConfig
from carp_ros.networks.backbone import Backbone, KeysValues
from carp_ros.networks.words import PADDING


class Context(NamedTuple):
    """What a backbone made of an observation."""

    known: KeysValues
    is_real: Tensor
    """Which tokens are no padding, (B, S)."""
    last: Tensor
    """Position of the last token that is no padding, (B,)."""


class FasterPolicyNetwork(nn.Module):
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

    def context(self, images: Tensor, text: Tensor) -> Context:
        """Return the context of images (B, V, 3, H, W) in [-1, 1] and text tokens (B, L)."""
        backbone = self.backbone
        seen = backbone.embed_images(images)
        embeddings = torch.cat((seen, backbone.embed_text(text)), dim=1)
        is_real = torch.cat((text.new_ones(seen.shape[:2]), text != PADDING), dim=1).bool()
        positions = is_real.long().cumsum(dim=1) - 1
        known = backbone.prefill(embeddings, is_real, positions.clamp(min=0))
        return Context(known, is_real, positions[:, -1])

    def losses(self, context: Context, tokens: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropies of demonstrated tokens (B, N): the paper's, and by block.

        The end after the last block counts as one token more.
        """
        logits, end = self.expert.teach(tokens, *context)
        config = self.expert.config
        by_token = F.cross_entropy(logits.transpose(1, 2).float(), tokens, reduction="none")
        ends = tokens.new_full(end.shape[:2], self.expert.end_id)
        ended = F.cross_entropy(end.transpose(1, 2).float(), ends, reduction="none").mean(dim=1)
        total = by_token.sum(dim=1) + ended
        blocks = by_token.unflatten(1, (config.blocks, config.block)).mean(dim=(0, 2))
        parts = {f"loss_of_block_{number}": loss for number, loss in enumerate(blocks)}
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
        known, is_real, last = context
        config = self.expert.config
        tokens = is_real.new_zeros(len(is_real), config.block, dtype=torch.int64)
        parts: list[Tensor] = []
        for block in range(config.blocks if blocks is None else blocks):
            logits, known = self.expert.step(block, tokens, known, is_real, last)
            tokens = _drawn(logits, temperature, likeliest, generator)
            parts.append(tokens)
        return torch.cat(parts, dim=1)


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
