"""Reads numbers that are spelled as characters in UTF-8, in operations that graphs can contain.

The characters of 0, -1, 1, -2, ... are the first ones. What is no character stands for 0.

Shapes: B batch, n tokens, m bytes of a token at most, M of a text at most.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CONTINUES, _TWO, _THREE, _FOUR = 0x80, 0xC0, 0xE0, 0xF0
"""Least bytes that continue a character, or begin one of two, three or four."""


class Spelling:
    """The bytes of each token of a vocabulary.

    Args:
        words: By token.
    """

    def __init__(self, words: list[bytes]) -> None:
        self._most = max(map(len, words))
        rows = [[*word, *[0] * (self._most - len(word))] for word in (*words, b"")]
        self._bytes = torch.tensor(rows)  # the last is of what is no token
        self._sizes = torch.tensor([len(word) for word in (*words, b"")])

    def text(self, tokens: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Return the bytes of a text, (B, M), and how many it has, (B,).

        Args:
            tokens: Any integers, of shape (B, n); those that are no token stand for nothing.
            most: M.
        """
        nothing = len(self._sizes) - 1
        known = torch.where((tokens >= 0) & (tokens < nothing), tokens, nothing).long()
        sizes = self._sizes.to(tokens.device)[known]
        inside = torch.arange(self._most, device=tokens.device)
        places = (sizes.cumsum(dim=1) - sizes)[..., None] + inside
        written = (inside < sizes[..., None]) & (places < most)
        spelled = self._bytes.to(tokens.device)[known]
        text = _scattered(spelled, places, written, most)
        return text, sizes.sum(dim=1).clamp(max=most)


def numbers_of(text: Tensor, length: Tensor, count: int, largest: int) -> Tensor:
    """Return the first numbers of a text, int64 (B, `count`), and 0 where it has fewer.

    Args:
        text: Bytes, (B, M).
        length: How many of them there are, (B,).
        count: How many numbers to read.
        largest: Magnitude of a number at most; larger ones stand for 0.
    """
    exists = torch.arange(text.shape[1], device=text.device) < length[:, None]
    continues = exists & (text >= _CONTINUES) & (text < _TWO)
    of_two = exists & (text >= _TWO) & (text < _THREE)
    of_three = exists & (text >= _THREE) & (text < _FOUR)
    first, second = _later(text, 1) - _CONTINUES, _later(text, 2) - _CONTINUES
    has_one = _later(continues, 1)
    has_two = has_one & _later(continues, 2)
    nothing = torch.zeros_like(text)
    characters = torch.where(exists & (text < _CONTINUES), text, nothing)
    characters = torch.where(of_two & has_one, (text - _TWO) * 64 + first, characters)
    whole = ((text - _THREE) * 64 + first) * 64 + second
    characters = torch.where(of_three & has_two, whole, characters)
    belongs = _earlier(of_two | of_three, 1) | (_earlier(continues, 1) & _earlier(of_three, 2))
    begins = exists & ~(continues & belongs)
    places = begins.long().cumsum(dim=1) - 1
    found = _scattered(characters, places, begins & (places < count), count)
    found = torch.where(found > 2 * largest, 0, found)
    return torch.where(found % 2 == 1, -((found + 1) // 2), found // 2)


def _scattered(values: Tensor, places: Tensor, written: Tensor, count: int) -> Tensor:
    """Return (B, `count`) with values at their places, where they are to be written; else 0."""
    places = torch.where(written, places, count).flatten(1)
    values = torch.where(written, values, 0).flatten(1)
    empty = values.new_zeros(len(values), count + 1)
    return empty.scatter(1, places, values)[:, :count]


def _later(values: Tensor, steps: int) -> Tensor:
    """Return, at each place, what is so many places later; 0 beyond the end."""
    return _padded(values, 0, steps)[:, steps:]


def _earlier(values: Tensor, steps: int) -> Tensor:
    """Return, at each place, what is so many places earlier; 0 before the beginning."""
    return _padded(values, steps, 0)[:, :-steps]


def _padded(values: Tensor, before: int, after: int) -> Tensor:
    # as integers: exported graphs can't pad what is true or false
    return functional.pad(values.long(), (before, after)).to(values.dtype)
