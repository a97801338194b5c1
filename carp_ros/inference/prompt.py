"""FASTer's prompt: the task in words and the measured state as whole numbers.

Its form is that of the paper (arXiv:2512.04952), which follows openpi's FAST; the state is scaled
to [-1, 1] and cut into 256 bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carp_ros.inference.words import PADDING

BINS = 256

Ids = npt.NDArray[np.int64]


def prompt(instruction: str, scaled_state: Sequence[float]) -> str:
    """Return the prompt.

    Args:
        instruction: In words.
        scaled_state: The measured state, in [-1, 1]; numbers beyond take the outermost bins.
    """
    numbers = " ".join(map(str, bins(np.asarray(scaled_state)).tolist()))
    return f"Task: {instruction}, State: {numbers};\nAction: "


def bins(scaled: npt.NDArray[np.floating]) -> Ids:
    """Return the bin of each number, 0 to 255, of any shape."""
    shares = (np.asarray(scaled, dtype=np.float64) + 1.0) / 2.0
    return np.clip(np.floor(shares * BINS), 0, BINS - 1).astype(np.int64)


class Vocabulary(Protocol):
    """Text tokens of a backbone."""

    @property
    def begin(self) -> tuple[int, ...]:
        """Ids that a prompt begins with."""
        ...

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a part of a text, none of which is that of padding."""
        ...


class WordPrompts:
    """The prompt in tokens, all of one length.

    Padding is where the instruction ends, and behind numbers that have fewer tokens than others:
    nothing attends to it, and it takes up no position.

    Args:
        words: The vocabulary.
        length: Tokens of a prompt.
        numbers: S, of a state.

    Raises:
        ValueError: If nothing but the state fits.
    """

    def __init__(self, words: Vocabulary, length: int, numbers: int) -> None:
        self.words, self.length = words, length
        spelled = [words.tokens(f" {number}") for number in range(BINS)]
        most = max(map(len, spelled))
        self._numbers = np.array([_padded(tokens, most) for tokens in spelled], np.int64)
        self._head = [*words.begin, *words.tokens("Task:")]
        self._middle = words.tokens(", State:")
        self._tail = words.tokens(";\nAction: ")
        fixed = len(self._head) + len(self._middle) + most * numbers + len(self._tail)
        self.longest = length - fixed
        """Tokens of an instruction at most; what is beyond is cut off."""
        if self.longest < 1:
            raise ValueError(
                f"a prompt has {length} tokens; expected at least {length + 1 - self.longest}, with"
                f" a state of {numbers} numbers"
            )

    def instruction(self, text: str) -> Ids:
        """Return the tokens of an instruction, of shape (`longest`,), padded or cut at the end."""
        tokens = self._tokens(text)[: self.longest]
        return np.array(_padded(tokens, self.longest), np.int64)

    def require_whole(self, text: str) -> None:
        """Raise ValueError if an instruction is so long that its end would be cut off."""
        count = len(self._tokens(text))
        if count > self.longest:
            raise ValueError(
                f"instruction is {text!r}, which is {count} tokens; expected {self.longest} at"
                " most, of which each known word takes one: say it in fewer, plainer words"
            )

    def _tokens(self, text: str) -> list[int]:
        return self.words.tokens(f" {text}")

    def prompts(self, instructions: Ids, scaled_states: npt.NDArray[np.floating]) -> Ids:
        """Return prompts, of shape (B, `length`).

        Args:
            instructions: From `instruction`, of shape (B, `longest`).
            scaled_states: In [-1, 1], of shape (B, S).
        """
        count = len(instructions)
        head, middle, tail = (
            np.tile(np.array(part, np.int64), (count, 1))
            for part in (self._head, self._middle, self._tail)
        )
        numbers = self._numbers[bins(scaled_states)].reshape(count, -1)
        return np.concatenate((head, instructions, middle, numbers, tail), axis=1)


def _padded(tokens: Sequence[int], length: int) -> list[int]:
    return [*tokens, *[PADDING] * (length - len(tokens))]
