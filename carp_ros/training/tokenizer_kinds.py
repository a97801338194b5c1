"""The table of all kinds of action tokenizer that can be trained."""

from __future__ import annotations

from carp_ros.training.carp_tokenizer import CarpTokenizerKind
from carp_ros.training.faster_tokenizer import FasterTokenizerKind
from carp_ros.training.fitted_tokenizers import BinsTokenizerKind, FastTokenizerKind
from carp_ros.training.kinds import kind_named
from carp_ros.training.tokenizer_kind import TokenizerKind

TOKENIZER_KINDS: dict[str, TokenizerKind] = {
    kind.kind: kind
    for kind in (
        CarpTokenizerKind(),
        FasterTokenizerKind(),
        FastTokenizerKind(),
        BinsTokenizerKind(),
    )
}


def tokenizer_kind_named(kind: object, where: str) -> TokenizerKind:
    """Look up a kind of tokenizer.

    Raises:
        ValueError: If there is none with that name; begins with `where`.
    """
    return kind_named(TOKENIZER_KINDS, kind, "tokenizer", where)
