"""Text tokens of a published model, from the `tokenizer.json` that comes with it."""

# The library `tokenizers` is not among what is installed to check types.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOCABULARY = "tokenizer.json"


@dataclass(frozen=True)
class PublishedWords:
    """A published tokenizer.

    Its ids are raised by one, for 0 is this package's padding: in these vocabularies 0 is a token
    like others, an exclamation mark in Qwen's. `PretrainedBackbone.embed_text` takes it off again.

    Attributes:
        tokenizer: A `tokenizers.Tokenizer`.
        begin: Ids that a prompt begins with.
    """

    tokenizer: Any
    begin: tuple[int, ...] = ()

    def __len__(self) -> int:
        return 1 + self.tokenizer.get_vocab_size(with_added_tokens=True)

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text, each 1 or more."""
        return [1 + token for token in self.tokenizer.encode(text, add_special_tokens=False).ids]

    def to_json(self) -> str:
        """Return the tokenizer as the content of a `tokenizer.json`."""
        return self.tokenizer.to_str()


def load_published_words(path: Path, begin: tuple[int, ...] = ()) -> PublishedWords:
    """Return the tokenizer of a file.

    Args:
        path: Of the file.
        begin: See `PublishedWords`.

    Raises:
        ValueError: If the file is missing or no tokenizer, or the library is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ValueError(
            f"{path} is a published tokenizer; expected the library that reads it:"
            " pip install tokenizers"
        ) from error
    if not path.is_file():
        raise ValueError(f"{path} is missing; expected all files of the published model")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"{path} is no tokenizer ({error}); expected that of the published model: copy it again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return PublishedWords(tokenizer, begin)
