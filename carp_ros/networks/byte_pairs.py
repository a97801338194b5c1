"""Byte pair encoding: frequent sequences of bytes become tokens of their own.

The `tokenizers` library learns and applies it. What it has learnt is kept as one line of text, and
what each token stands for is read from that: decoding needs no library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

_PAIR = re.compile(r"(\d{1,6}),(\d{1,6})")
_LEAST_OFTEN = 2  # that a pair must occur to be merged, as published


class BytePairs:
    """A vocabulary of byte sequences.

    Args:
        alphabet: The bytes that occur, the first tokens.
        merges: What `learn_byte_pairs` returned; empty for single bytes only.
        most_bytes: Of a token.

    Raises:
        ValueError: If `merges` names a token that is not there yet, or makes one too long.
    """

    def __init__(self, alphabet: Sequence[int], merges: str, most_bytes: int) -> None:
        self.words = [bytes([byte]) for byte in alphabet]
        """The bytes of each token."""
        known = {word: token for token, word in enumerate(self.words)}
        self._merges: list[tuple[str, str]] = []
        for number, pair in enumerate(merges.split()):
            found = _PAIR.fullmatch(pair)
            first, second = map(int, found.groups()) if found else (-1, -1)
            if not found or max(first, second) >= len(self.words):
                raise ValueError(
                    f"pair {number} of the merges is {pair!r}; expected two numbers below"
                    f" {len(self.words)}, joined by a comma: fit the tokenizer again"
                )
            word = self.words[first] + self.words[second]
            if len(word) > most_bytes:
                raise ValueError(
                    f"pair {number} of the merges makes a token of {len(word)} bytes; expected"
                    f" {most_bytes} at most, a whole chunk's: fit the tokenizer again"
                )
            self._merges.append((_text(self.words[first]), _text(self.words[second])))
            if word not in known:  # two pairs may make the same bytes
                known[word] = len(self.words)
                self.words.append(word)
        self._encoder: Any = None

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, content: bytes) -> list[int]:
        """Return the tokens of bytes of the alphabet; those not in it are left out."""
        if self._encoder is None:
            library = _library()
            vocabulary = {_text(word): token for token, word in enumerate(self.words)}
            # without its cache, which would make repeated chunks faster than new ones
            model = library.models.BPE(vocabulary, self._merges, cache_capacity=0)
            self._encoder = library.Tokenizer(model)
        return self._encoder.encode(_text(content)).ids


def learn_byte_pairs(contents: Iterable[bytes], alphabet: Sequence[int], vocabulary: int) -> str:
    """Return the pairs of tokens to merge, in order, as `first,second first,second ...`.

    Args:
        contents: Examples.
        alphabet: The bytes that may occur.
        vocabulary: Tokens at most, the alphabet's included.
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=_LEAST_OFTEN,
        initial_alphabet=[chr(byte) for byte in alphabet],
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(_text, contents), trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    known = {chr(byte): token for token, byte in enumerate(alphabet)}
    pairs: list[str] = []
    for first, second in merges:
        pairs.append(f"{known[first]},{known[second]}")
        known.setdefault(first + second, len(known))
    return " ".join(pairs)


def _text(content: bytes) -> str:
    """Return bytes as the library takes them, a character each."""
    return content.decode("latin-1")


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ValueError(
            "FAST needs the library tokenizers; pip install 'carp_ros[train]'"
        ) from error
    return tokenizers
