"""Text tokens of the tiny backbone: words seen in training, and bytes for all others.

A sentence that was never seen still has tokens, so that a policy can be asked anything; what it
makes of unseen words is another question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from carp_ros.inference.layout import Line

PADDING = 0
_BYTES = 256
_PARTS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Words:
    """Known words; their ids follow those of padding and of single bytes.

    Attributes:
        words: In lower case, each once.
    """

    words: tuple[Line, ...]

    def __post_init__(self) -> None:
        if len(set(self.words)) < len(self.words):
            raise ValueError("a word is there twice; expected each once")

    @property
    def begin(self) -> tuple[int, ...]:
        """Ids that a prompt begins with: none."""
        return ()

    def __len__(self) -> int:
        return 1 + _BYTES + len(self.words)

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text: of known words, and of the bytes of others."""
        known = {word: 1 + _BYTES + i for i, word in enumerate(self.words)}
        ids: list[int] = []
        for part in _PARTS.findall(text.lower()):
            own = known.get(part)
            ids += [own] if own is not None else [1 + byte for byte in part.encode()]
        return ids


def words_of(sentences: Iterable[str], numbers: int) -> Words:
    """Return the words of sentences, and the whole numbers below `numbers`.

    The order of the sentences makes no difference.
    """
    found = {part for sentence in sentences for part in _PARTS.findall(sentence.lower())}
    counted = [str(number) for number in range(numbers)]
    return Words((*counted, *sorted(found - set(counted))))
