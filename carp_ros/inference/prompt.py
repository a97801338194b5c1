"""FASTer's prompt: the task in words and the measured state as whole numbers.

Its form is that of the paper (arXiv:2512.04952), which follows openpi's FAST; the state is scaled
to [-1, 1] and cut into 256 bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from carp_ros.inference.words import PADDING, Words

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


class WordPrompts:
    """The prompt in tokens of a vocabulary of words, all of one length.

    Args:
        words: The vocabulary; contains the numbers of all bins.
        length: Tokens of a prompt. Padding is before the state, where the instruction ends.
        numbers: S, of a state.

    Raises:
        ValueError: If the vocabulary lacks the bins' numbers, or nothing but the state fits.
    """

    def __init__(self, words: Words, length: int, numbers: int) -> None:
        if words.words[:BINS] != tuple(map(str, range(BINS))):
            raise ValueError(f"the vocabulary does not begin with 0 to {BINS - 1}; train again")
        self.words, self.length = words, length
        self._first_number = words.tokens("0")[0]
        self._head = words.tokens("Task:")
        self._middle = words.tokens(", State:")
        self._tail = words.tokens(";\nAction: ")
        self.longest = length - len(self._head) - len(self._middle) - numbers - len(self._tail)
        """Tokens of an instruction at most; what is beyond is cut off."""
        if self.longest < 1:
            raise ValueError(
                f"a prompt has {length} tokens; expected at least {length + 1 - self.longest}, with"
                f" a state of {numbers} numbers"
            )

    def instruction(self, text: str) -> Ids:
        """Return the tokens of an instruction, of shape (`longest`,), padded at the end."""
        tokens = self.words.tokens(text)[: self.longest]
        return np.array([*tokens, *[PADDING] * (self.longest - len(tokens))], np.int64)

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
        numbers = self._first_number + bins(scaled_states)
        return np.concatenate((head, instructions, middle, numbers, tail), axis=1)
