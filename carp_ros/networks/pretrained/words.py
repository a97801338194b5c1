"""Text tokens of a published model, from the `tokenizer.json` that comes with it."""

# The extra `vlm` is not among what is installed to check types.
# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "tokenizer.json"


@dataclass(frozen=True)
class PublishedWords:
    """A published tokenizer.

    Its ids are raised by one, for 0 is this package's padding: in these vocabularies 0 is a token
    like others, an exclamation mark in Qwen's. `PretrainedBackbone.embed_text` takes it off again.

    Attributes:
        tokenizer: A `tokenizers.Tokenizer`.
        first: Id, of the vocabulary, that each text begins with; None for none.
    """

    tokenizer: Any
    first: int | None = None

    def __len__(self) -> int:
        return 1 + self.tokenizer.get_vocab_size(with_added_tokens=True)

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text, each 1 or more."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [1 + token for token in ([] if self.first is None else [self.first]) + ids]


def load_words(folder: Path, first: int | None) -> PublishedWords:
    """Return the tokenizer of a model's folder.

    Args:
        folder: Of the published model.
        first: See `PublishedWords`.

    Raises:
        ValueError: If the file is missing or no tokenizer.
    """
    from tokenizers import Tokenizer

    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{folder} has no {FILE}; expected all files of the published model")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"{path} is no tokenizer ({error}); expected that of the published model: copy it again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return PublishedWords(tokenizer, first)
