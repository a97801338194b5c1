"""Uniform bins: one token for each number and step, as in RT-2 (arXiv:2307.15818) and OpenVLA.

Shapes: B batch, H horizon, D numbers that are tokenized, N = H D tokens of a chunk, step-major.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from carp_ros.networks.action_numbers import TOOL_NUMBERS, ActionNumbers
from carp_ros.networks.numbers_tokenizer import ChunkTokens, NumbersTokenizer
from carp_ros.strict import Between


@dataclass(frozen=True)
class BinsConfig:
    """How actions are represented and tokenized; the defaults are RT-2's bins.

    Attributes:
        dimensions: D.
        horizon: H.
        bins: Of each number, equally wide.
        tool: Whether actions are tool poses, tokenized relative to the measured tool.
        quantile: Of the actions, on either side, that is clamped.
    """

    dimensions: Annotated[int, Between(1, 1000)] = TOOL_NUMBERS
    horizon: Annotated[int, Between(1, 400)] = 16
    bins: Annotated[int, Between(2, 65_536)] = 256
    tool: bool = True
    quantile: Annotated[float, Between(0.0, 0.2)] = 0.01

    @property
    def tokens(self) -> int:
        """N."""
        return self.horizon * self.dimensions


class BinsTokenizer(NumbersTokenizer):
    """Turns absolute actions in SI units into tokens and back."""

    kind = "binning"

    def __init__(self, config: BinsConfig) -> None:
        super().__init__(ActionNumbers(config.dimensions, config.tool, config.quantile))
        self.config = config

    @property
    def chunk_tokens(self) -> ChunkTokens:
        """Number and values of the tokens; those of one step are predicted at once."""
        config = self.config
        return ChunkTokens(config.tokens, config.bins, together=config.dimensions)

    def tokens_of(self, normalised: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of normalised actions (B, H, D)."""
        bins = self.config.bins
        found = ((normalised + 1.0) * (0.5 * bins)).long()
        return found.clamp(0, bins - 1).flatten(1)

    def decode_normalised(self, tokens: Tensor) -> Tensor:
        """Return the middles of the bins, (B, H, D), of tokens (B, n); 0 where some are missing."""
        config = self.config
        middles = (tokens.clamp(0, config.bins - 1).float() + 0.5) * (2.0 / config.bins) - 1.0
        numbers = middles.new_zeros(len(tokens), config.tokens)
        numbers[:, : middles.shape[1]] = middles[:, : config.tokens]
        return numbers.unflatten(1, (config.horizon, config.dimensions))

    def use_of(self, tokens: Tensor) -> dict[str, float]:
        """Return `codes_used`, the share of the bins that any number fell into."""
        return {"codes_used": len(torch.unique(tokens)) / self.config.bins}
