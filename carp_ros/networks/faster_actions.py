"""FASTerVQ together with the representation of actions: SI units in, SI units out.

Shapes: B batch, H horizon, D numbers of an action that are tokenized, N tokens of a chunk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from carp_ros.networks.action_numbers import ActionNumbers
from carp_ros.networks.faster_tokenizer import FasterTokenizer, FasterTokenizerConfig
from carp_ros.networks.gripper_rule import GripperRule
from carp_ros.networks.numbers_tokenizer import ChunkTokens, NumbersTokenizer
from carp_ros.strict import Between


@dataclass(frozen=True)
class FasterActionConfig:
    """How actions are represented and tokenized.

    Attributes:
        vq: The tokenizer's sizes; its groups are those of the numbers that are tokenized, the
            gripper included.
        tool: Whether actions are tool poses, tokenized relative to the measured tool.
        gripper: `vq` tokenizes it with the other numbers, `rule` by its list of sequences, in a
            column of its own.
        quantile: Of the actions, on either side, that is clamped.
    """

    vq: FasterTokenizerConfig = field(default_factory=FasterTokenizerConfig)
    tool: bool = True
    gripper: Literal["vq", "rule"] = "vq"
    quantile: Annotated[float, Between(0.0, 0.2)] = 0.01

    @property
    def horizon(self) -> int:
        """H."""
        return self.vq.horizon

    @property
    def columns(self) -> int:
        """Tokens of one level and time, one a number; the paper's best block size."""
        return self.vq.dimensions

    @property
    def tokens(self) -> int:
        """N."""
        return self.vq.tokens


class FasterActionTokenizer(NumbersTokenizer):
    """Turns absolute actions in SI units into tokens and back.

    Any number of whole levels can be decoded, from one on.
    """

    kind = "faster"

    def __init__(self, config: FasterActionConfig) -> None:
        super().__init__(ActionNumbers(config.columns, config.tool, config.quantile))
        self.config = config
        self.rule = None
        vq = config.vq
        if config.gripper == "rule":
            self.rule = GripperRule(vq.horizon, vq.codes)
            vq = replace(vq, groups=vq.groups[:-1])
        self.vq = FasterTokenizer(vq)

    @property
    def chunk_tokens(self) -> ChunkTokens:
        """Number and values of the tokens; those of one level are predicted at once."""
        vq, columns = self.config.vq, self.config.columns
        return ChunkTokens(vq.tokens, vq.codes, vq.levels, vq.times * columns)

    def begin(self, normalised: Tensor) -> None:
        """Spread the codes over normalised actions (M, H, D), see `FasterTokenizer.begin`."""
        self.vq.begin(normalised if self.rule is None else normalised[..., :-1])

    def losses(self, normalised: Tensor) -> dict[str, Tensor]:
        """Return the paper's loss and its parts; in training mode, also update the codes."""
        numbers = normalised if self.rule is None else normalised[..., :-1]
        loss = self.vq(numbers)
        return {
            "loss": loss.loss,
            "reconstruction_loss": loss.reconstruction_loss,
            "quantization_loss": loss.quantization_loss,
        }

    def use_of(self, tokens: Tensor) -> dict[str, float]:
        """Return `codes_used` and `entropy` of each level, as shares."""
        codes = self.config.vq.codes
        by_level = tokens.unflatten(1, (-1, self.vq.config.times, self.config.columns))
        if self.rule is not None:
            by_level = by_level[..., :-1]
        figures: dict[str, float] = {}
        for level, used in enumerate(by_level.unbind(dim=1)):
            shares = torch.bincount(used.flatten(), minlength=codes) / used.numel()
            entropy = -(shares * shares.clamp(min=1e-12).log()).sum() / math.log(codes)
            figures[f"codes_used_{level}"] = float((shares > 0.0).float().mean())
            figures[f"entropy_{level}"] = float(entropy)
        return figures

    def tokens_of(self, normalised: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of normalised actions."""
        if self.rule is None:
            return self.vq.tokenize(normalised)
        codes = self.vq.codes_of(self.vq.tokenize(normalised[..., :-1]))  # (B, T, C - 1, L)
        column = torch.zeros_like(codes[:, :, :1])
        column[:, 0, 0, 0] = self.rule.tokenize(normalised[..., -1])
        return self.vq.tokens_of(torch.cat((codes, column), dim=2))

    def decode_shares(self, shares: Tensor, states: Tensor) -> Tensor:
        """Return the actions of tokens that are not certain: the mean over the codes.

        What a level adds is known for the likeliest code of the level before alone, so that it
        counts by how likely that is. The gripper takes the likeliest code.
        """
        by_level = self._by_level(shares)  # (B, l, T, C, K)
        if self.rule is not None:
            by_level = by_level[..., :-1, :]
        latent = torch.zeros(())
        for level in reversed(range(by_level.shape[1])):
            of_level = by_level[:, level]
            likely = of_level.amax(dim=-1, keepdim=True)
            latent = of_level @ self.vq.quantizer.codebook[level] + likely * latent
        normalised = self._with_gripper(self.vq.decode(latent), shares.argmax(dim=-1))
        return self.numbers.actions(normalised, states)

    def decode_normalised(self, tokens: Tensor) -> Tensor:
        """Return the normalised actions of the tokens (B, n) of the first levels."""
        numbers = tokens
        if self.rule is not None:
            numbers = self._by_level(tokens)[..., :-1].flatten(1)
        return self._with_gripper(self.vq.decode(self.vq.latent_of(numbers)), tokens)

    def _with_gripper(self, numbers: Tensor, tokens: Tensor) -> Tensor:
        """Return decoded numbers (B, H, C - 1), clamped, with what the rule's tokens say."""
        numbers = numbers.clamp(-1.0, 1.0)
        if self.rule is None:
            return numbers
        gripper = self.rule.detokenize(self._by_level(tokens)[:, 0, 0, -1])[..., None]
        return torch.cat((numbers, gripper), dim=-1)

    def _by_level(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, l T C), or what each of them has, as (B, l, T, C, ...)."""
        return tokens.unflatten(1, (-1, self.vq.config.times, self.config.columns))
