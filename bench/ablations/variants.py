"""The recipes that are compared: the preset `cpu-small`, each with one choice made otherwise."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from carp_ros.training.presets import POLICIES, TOKENIZERS, PolicyRecipe, TokenizerRecipe

PRESET = "cpu-small"

Name = Literal[
    "preset",
    "scales-4",
    "scales-1-4",
    "scales-1-2-3-4",
    "joint",
    "joint-slim",
    "joint-2048",
    "cosine",
    "last-weights",
    "hard-targets",
]


@dataclass(frozen=True)
class Variant:
    """A recipe that is compared with the others.

    Attributes:
        choice: What is different from the preset, in words.
        tokenizer, policy: How both are made.
    """

    choice: str
    tokenizer: TokenizerRecipe
    policy: PolicyRecipe


def _with_vq(choice: str, **changes: Any) -> Variant:
    """Return the preset with some sizes of its tokenizer changed."""
    recipe = TOKENIZERS[PRESET]
    vq = dataclasses.replace(recipe.network.vq, **changes)
    network = dataclasses.replace(recipe.network, vq=vq)
    return Variant(choice, dataclasses.replace(recipe, network=network), POLICIES[PRESET])


def _with_last_weights() -> Variant:
    tokenizer, policy = TOKENIZERS[PRESET], POLICIES[PRESET]
    return Variant(
        "the weights of the last step, not their average, in tokenizer and policy",
        dataclasses.replace(tokenizer, loop=dataclasses.replace(tokenizer.loop, average=False)),
        dataclasses.replace(policy, loop=dataclasses.replace(policy.loop, average=False)),
    )


_VQ = TOKENIZERS[PRESET].network.vq
# As many channels and numbers of a code altogether as the ten of the preset have: the same
# codebook, but a channel sees all others, which makes ten times as many weights between them.
_WIDE = {
    "joint": True,
    "channels": _VQ.dimensions * _VQ.channels,
    "code_width": _VQ.dimensions * _VQ.code_width,
}
# Weights go with the square of both: so wide, it has about as many as the ten, codes apart.
_SLIM = {
    "joint": True,
    "channels": round(_VQ.dimensions**0.5 * _VQ.channels),
    "code_width": round(_VQ.dimensions**0.5 * _VQ.code_width),
}

VARIANTS: dict[Name, Variant] = {
    "preset": _with_vq("none"),
    "scales-4": _with_vq("one scale: all tokens at once", scales=(4,)),
    "scales-1-4": _with_vq("two scales", scales=(1, 4)),
    "scales-1-2-3-4": _with_vq("four scales, the paper's", scales=(1, 2, 3, 4)),
    "joint": _with_vq("one VQ-VAE of all dimensions, as wide as the ten", **_WIDE),
    "joint-slim": _with_vq(
        "one VQ-VAE of all dimensions, of about as many weights beside its codes", **_SLIM
    ),
    "joint-2048": _with_vq("`joint` with 2048 codes instead of 512", **_WIDE, codes=2048),
    "cosine": _with_vq("the code of the closest direction, the paper's lookup", cosine=True),
    "last-weights": _with_last_weights(),
    "hard-targets": Variant(
        "the one true token is the target, the paper's",
        TOKENIZERS[PRESET],
        dataclasses.replace(POLICIES[PRESET], code_spread=1e-3),
    ),
}
"""By name; the first is what the others are compared with."""
