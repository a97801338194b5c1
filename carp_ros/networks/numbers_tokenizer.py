"""What tokenizers of `ActionNumbers` have in common: SI units in, tokens out, and back.

Shapes: B batch, H horizon, A numbers of an action, S of a state, D numbers that are tokenized,
N tokens of a chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from carp_ros.networks.action_numbers import ActionNumbers, changes_kept
from carp_ros.networks.scaling import Scaling

_BATCH = 1024  # of chunks that are coded at a time


@dataclass(frozen=True)
class ChunkTokens:
    """What a network that predicts the tokens of a chunk needs to know of them.

    Attributes:
        tokens: N.
        codes: K, values that a token may have, padding included.
        levels: Equal parts of the tokens, after each of which there is a complete trajectory.
        together: How many tokens to predict at once; a divisor of N.
    """

    tokens: int
    codes: int
    levels: int = 1
    together: int = 1


class NumbersTokenizer(nn.Module, ABC):
    """Turns absolute actions in SI units into tokens and back.

    Args:
        numbers: That stand for the actions.
    """

    kind: str
    config: Any

    def __init__(self, numbers: ActionNumbers) -> None:
        super().__init__()
        self.numbers = numbers

    @property
    @abstractmethod
    def chunk_tokens(self) -> ChunkTokens:
        """Number and values of the tokens of a chunk."""

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.scaling.scale)

    @property
    def scaling(self) -> Scaling:
        """Of the numbers that are tokenized."""
        return self.numbers.scaling

    def names(self, action: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the numbers that are tokenized, given those of an action."""
        return self.numbers.names(action)

    def fit(self, actions: Tensor, states: Tensor) -> None:
        """Fit the scaling to actions (F, H, A), given measured states (F, S)."""
        self.numbers.fit(actions, states)

    def normalised(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return actions (B, H, A), given measured states (B, S), as (B, H, D) in [-1, 1]."""
        return self.numbers.normalised(actions, states)

    def tokenize(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, A), given measured states (B, S)."""
        return self.tokens_of(self.normalised(actions, states))

    def decode(self, tokens: Tensor, states: Tensor) -> Tensor:
        """Return the actions, (B, H, A), of tokens (B, n), given measured states (B, S).

        Args:
            tokens: All of a chunk, or the first ones: with more of them actions are more exact.
            states: Measured when the actions are carried out.
        """
        return self.numbers.actions(self.decode_normalised(tokens), states)

    def decode_shares(self, shares: Tensor, states: Tensor) -> Tensor:
        """Return the actions, (B, H, A), of tokens that are not certain.

        Those of the likeliest tokens, unless a tokenizer knows means of its codes.

        Args:
            shares: Of each code of each token, of shape (B, n, K); each token's add up to 1.
            states: See `decode`.
        """
        return self.decode(shares.argmax(dim=-1), states)

    @abstractmethod
    def tokens_of(self, normalised: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of normalised actions (B, H, D)."""

    @abstractmethod
    def decode_normalised(self, tokens: Tensor) -> Tensor:
        """Return the normalised actions, (B, H, D), of tokens (B, n), see `decode`."""

    def losses(self, normalised: Tensor) -> dict[str, Tensor]:
        """Return `loss`, the mean absolute error of normalised actions (B, H, D) after decoding.

        Of tokenizers that are fitted only; those that learn have a loss of their own.
        """
        back = self.decode_normalised(self.tokens_of(normalised))
        return {"loss": (back - normalised).abs().mean()}

    @abstractmethod
    def use_of(self, tokens: Tensor) -> dict[str, float]:
        """Return figures of how tokens (B, N) use the codes and, if it varies, their number."""

    @torch.no_grad()
    def errors(self, normalised: Tensor) -> dict[str, float]:
        """Return errors of coded and decoded actions (B, H, D), and how the codes are used.

        Returns:
            `position_error_m` and `rotation_error_rad` of a tool (mean lengths), else `other_error`
            (mean); the mean normalised `error`; `share_within_0.1`: of steps whose normalised
            errors add up to less than 0.1 (FASTer's VRR); `changes_kept`: share of the gripper's
            changes that are decoded no more than a step off; and the figures of `use_of`.
        """
        tokens = torch.cat([self.tokens_of(part) for part in normalised.split(_BATCH)])
        back = torch.cat([self.decode_normalised(part) for part in tokens.split(_BATCH)])
        off = (back - normalised).abs()
        figures = {
            **self.numbers.mean_errors(back - normalised),
            "error": off.mean(),
            "share_within_0.1": (off.sum(dim=-1) < 0.1).float().mean(),
            "changes_kept": changes_kept(normalised[..., -1], back[..., -1]),
        }
        return {name: float(value) for name, value in figures.items()} | self.use_of(tokens)
