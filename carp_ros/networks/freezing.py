"""What of a policy is trained: parameters are frozen by patterns of their names.

FASTer's expert is trained in two stages when its backbone comes trained (arXiv:2512.04952): first
alone, all of the backbone frozen; then with the upper half of the backbone's layers. Parameters
that are frozen need no gradients, no memory of an optimizer, and come out bit for bit as they went
in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import ClassVar, Protocol

from torch import nn

BACKBONE = ("backbone.*",)
"""The first stage: all of a policy's backbone."""


class Divided(Protocol):
    """A backbone whose parts can be told apart by the names of their parameters."""

    VISION: ClassVar[tuple[str, ...]]
    """Patterns of the vision tower; what maps it to the decoder's width is no part of it."""
    DECODER: ClassVar[str]
    """Name of the decoder within `model`, with `embed_tokens` and `layers`."""


def lower_half(backbone: Divided, layers: int) -> tuple[str, ...]:
    """Return the patterns of the second stage, for a policy that has the backbone.

    The vision tower, the embeddings of text, and the first half of the decoder's layers; what maps
    images to the decoder's width is trained.

    Args:
        backbone: Whose parts to name.
        layers: Of its decoder.
    """
    decoder = f"model.{backbone.DECODER}"
    parts = (
        *backbone.VISION,
        f"{decoder}.embed_tokens.*",
        *(f"{decoder}.layers.{layer}.*" for layer in range(layers // 2)),
    )
    return tuple(f"backbone.{part}" for part in parts)


def freeze(network: nn.Module, patterns: Iterable[str]) -> list[str]:
    """Freeze the parameters that have a name of one of the patterns, and return their names.

    All others stay as they are.

    Args:
        network: Whose parameters to freeze.
        patterns: With `*` for any text, as of files.

    Raises:
        ValueError: If a pattern is that of no parameter.
    """
    named = dict(network.named_parameters())
    frozen: set[str] = set()
    for pattern in patterns:
        found = {name for name in named if fnmatchcase(name, pattern)}
        if not found:
            examples = ", ".join(sorted({re.sub(r"\d+", "0", name) for name in named})[:3])
            raise ValueError(
                f"no parameter is named {pattern}; expected a pattern such as of {examples}"
            )
        frozen |= found
    for name in frozen:
        named[name].requires_grad_(False)
    return sorted(frozen)
