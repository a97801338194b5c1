"""FAST (arXiv:2501.09747): action chunks to as many tokens as they need, and back.

The cosine transform of a chunk along time is scaled and rounded to whole numbers, most of them 0;
these are written low frequencies first, as characters of UTF-8, and byte pair encoding makes a few
tokens of their bytes. Two things differ from the published code, both in favour of short chunks:
byte pairs may span any two numbers, where that one splits them as if they were words of English,
and 0, -1, 1, -2, ... are the first characters, so that small numbers take one byte each.

A chunk of fewer tokens than others is filled up with a padding token. Where tokens are missing, cut
off or make no sense, the numbers that they would have stood for are 0.

Shapes: B batch, H horizon, A numbers of an action, S of a state, D numbers that are tokenized,
N tokens of a chunk at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from carp_ros.networks.action_numbers import TOOL_NUMBERS, ActionNumbers
from carp_ros.networks.byte_pairs import BytePairs, learn_byte_pairs
from carp_ros.networks.numbers_tokenizer import ChunkTokens, NumbersTokenizer
from carp_ros.networks.resampling import cosine_matrix
from carp_ros.networks.spelled_numbers import Spelling, numbers_of
from carp_ros.strict import Between, Sized

_MOST_TO_LEARN_FROM = 50_000  # chunks
_MOST_BYTES = 3  # of a character: there are fewer than 2^16


@dataclass(frozen=True)
class FastConfig:
    """How actions are represented and tokenized; the defaults are the paper's.

    Attributes:
        dimensions: D.
        horizon: H.
        scale: Of the coefficients before they are rounded: the larger, the more exact, and the more
            tokens.
        vocabulary: Tokens at most, the padding token apart.
        most_tokens: Tokens of a chunk, those beyond are cut off; 0 cuts none.
        tool: Whether actions are tool poses, tokenized relative to the measured tool.
        quantile: Of the actions, on either side, that is clamped.
        merges: What was learnt, see `byte_pairs`.
    """

    dimensions: Annotated[int, Between(1, 1000)] = TOOL_NUMBERS
    horizon: Annotated[int, Between(1, 400)] = 16
    scale: Annotated[float, Between(0.01, 1000.0)] = 10.0
    vocabulary: Annotated[int, Between(2, 65_536)] = 1024
    most_tokens: Annotated[int, Between(0, 100_000)] = 0
    tool: bool = True
    quantile: Annotated[float, Between(0.0, 0.2)] = 0.01
    merges: Annotated[str, Sized(0, 2_000_000)] = ""

    def __post_init__(self) -> None:
        if self.vocabulary < (least := len(self.alphabet)):
            raise ValueError(
                f"vocabulary is {self.vocabulary}; expected {least} or more, the bytes that occur"
                f" with a scale of {self.scale:g}"
            )

    @property
    def largest(self) -> int:
        """Largest magnitude of a rounded coefficient of numbers in [-1, 1]."""
        return math.ceil(self.scale * math.sqrt(self.horizon))

    @property
    def alphabet(self) -> list[int]:
        """The bytes of all characters that may occur, sorted."""
        return sorted(set("".join(map(chr, range(2 * self.largest + 1))).encode()))

    @property
    def padding(self) -> int:
        """The token that fills up a chunk."""
        return self.vocabulary

    @property
    def tokens(self) -> int:
        """N."""
        return self.most_tokens or _MOST_BYTES * self.horizon * self.dimensions


class FastTokenizer(NumbersTokenizer):
    """Turns absolute actions in SI units into tokens and back."""

    kind = "fast"
    cosines: Tensor

    def __init__(self, config: FastConfig) -> None:
        super().__init__(ActionNumbers(config.dimensions, config.tool, config.quantile))
        self._use(config)
        cosines = cosine_matrix(config.horizon)
        self.register_buffer("cosines", cosines, persistent=False)

    @property
    def chunk_tokens(self) -> ChunkTokens:
        """Number and values of the tokens, with padding; each depends on the one before."""
        return ChunkTokens(self.config.tokens, self.config.vocabulary + 1)

    def fit(self, actions: Tensor, states: Tensor) -> None:
        """Fit scaling and vocabulary to actions (F, H, A), given measured states (F, S)."""
        super().fit(actions, states)
        every = max(1, -(-len(actions) // _MOST_TO_LEARN_FROM))
        whole = self._whole(self.normalised(actions[::every], states[::every]))
        alphabet, size = self.config.alphabet, self.config.vocabulary
        merges = learn_byte_pairs(map(_content, whole), alphabet, size)
        self._use(replace(self.config, merges=merges))

    def _use(self, config: FastConfig) -> None:
        self.config = config
        self._pairs = _pairs_of(config)
        self._spelling = Spelling(self._pairs.words)

    def tokens_of(self, normalised: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of normalised actions (B, H, D)."""
        most = self.config.tokens
        tokens = np.full((len(normalised), most), self.config.padding)
        for row, whole in zip(tokens, self._whole(normalised)):
            found = self._pairs.encode(_content(whole))[:most]
            row[: len(found)] = found
        return torch.from_numpy(tokens).to(normalised.device)

    def lengths(self, tokens: Tensor) -> Tensor:
        """Return how many of the tokens (B, n) of each chunk are no padding, (B,)."""
        return (tokens != self.config.padding).sum(dim=1)

    def decode_normalised(self, tokens: Tensor) -> Tensor:
        """Return the normalised actions, (B, H, D), of tokens (B, n), which may be any integers."""
        config = self.config
        count = config.horizon * config.dimensions
        text, length = self._spelling.text(tokens, _MOST_BYTES * count)
        whole = numbers_of(text, length, count, config.largest)
        coefficients = whole.to(self.cosines) / config.scale
        coefficients = coefficients.unflatten(1, (config.horizon, config.dimensions))
        return (self.cosines.T @ coefficients).clamp(-1.0, 1.0)

    def use_of(self, tokens: Tensor) -> dict[str, float]:
        """Return `codes_used`, a share, and the tokens of a chunk: mean, 95 % quantile, most."""
        lengths = self.lengths(tokens).float()
        used = tokens[tokens != self.config.padding].unique()
        return {
            "codes_used": len(used) / self.config.vocabulary,
            "tokens_mean": float(lengths.mean()),
            "tokens_p95": float(lengths.quantile(0.95)),
            "tokens_most": float(lengths.amax()),
        }

    def _whole(self, normalised: Tensor) -> npt.NDArray[np.int64]:
        """Return the rounded coefficients of normalised actions, (B, H D), frequency-major."""
        largest = self.config.largest
        coefficients = (self.cosines @ normalised) * self.config.scale
        return coefficients.round().clamp(-largest, largest).flatten(1).cpu().numpy().astype(int)


def _pairs_of(config: FastConfig) -> BytePairs:
    most_bytes = _MOST_BYTES * config.horizon * config.dimensions
    pairs = BytePairs(config.alphabet, config.merges, most_bytes)
    if len(pairs) > config.vocabulary:
        raise ValueError(
            f"the merges make {len(pairs)} tokens; expected {config.vocabulary} at most: fit the"
            " tokenizer again"
        )
    return pairs


def _content(whole: npt.NDArray[np.int64]) -> bytes:
    """Return whole numbers as characters in UTF-8: 0, -1, 1, -2, ... are the first ones."""
    characters = np.where(whole < 0, -2 * whole - 1, 2 * whole)
    return "".join(map(chr, characters.tolist())).encode()
