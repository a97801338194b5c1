"""Infers the sizes of a published CARP checkpoint from its weights; checks its stated sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from carp_ros.networks.carp_tokenizer import TokenizerConfig
from carp_ros.networks.carp_transformer import TransformerConfig

Sizes = Mapping[str, Any]
Weights = Mapping[str, Tensor]

_CODEBOOK, _CONV_IN = "quantizers.0.embedding.weight", "encoders.0.conv_in.weight"


def tokenizer_config(sizes: Sizes, weights: Weights) -> TokenizerConfig:
    """Return a tokenizer's sizes.

    Args:
        sizes: Stated by the checkpoint; required are `num_actions`, `patch_nums` and, if codes are
            chosen by distance, `using_znorm` (false).
        weights: Under the published names.

    Raises:
        ValueError: If a size is missing or contradicts the weights.
    """
    codebook, conv_in = _weight(weights, _CODEBOOK), _weight(weights, _CONV_IN)
    channels = conv_in.shape[0]
    multipliers = [
        _weight(weights, f"encoders.0.down_{i}.block_2.conv2.weight").shape[0] // channels
        for i in (1, 2)
    ]
    found = {
        "V": codebook.shape[0],
        "Cvae": codebook.shape[1],
        "ch": channels,
        "ch_mult": multipliers,
        "action_dim": _count(weights, r"quantizers\.(\d+)\."),
    }
    _require(sizes, found)
    return TokenizerConfig(
        dimensions=found["action_dim"],
        horizon=int(_size(sizes, "num_actions")),
        scales=tuple(_size(sizes, "patch_nums")),
        codes=found["V"],
        code_width=found["Cvae"],
        channels=channels,
        multipliers=(multipliers[0], multipliers[1]),
        cosine=bool(sizes.get("using_znorm", sizes.get("vqnorm", True))),
    )


def transformer_config(
    sizes: Sizes, tokenizer: TokenizerConfig, weights: Weights
) -> TransformerConfig:
    """Return a transformer's sizes.

    Args:
        sizes: Stated by the checkpoint.
        tokenizer: Of the tokens that it predicts.
        weights: Under the published names.

    Raises:
        ValueError: If a size contradicts the weights.
    """
    conditioned = _weight(weights, "obs_embed.weight")
    tasks = weights.get("task_embed.weight")
    depth = _count(weights, r"blocks\.(\d+)\.")
    sharpness = weights.get("blocks.0.attn.scale_mul_1H11")
    heads = int(sizes.get("heads", depth)) if sharpness is None else sharpness.shape[1]
    found: dict[str, Any] = {"depth": depth, "embed_dim": conditioned.shape[0], "heads": heads}
    if tasks is not None:
        found["task_num"] = tasks.shape[0]
    _require(sizes, found)
    task_width = 0 if tasks is None else tasks.shape[1]
    hidden = _weight(weights, "blocks.0.ffn.fc1.weight")
    return TransformerConfig(
        features=conditioned.shape[1] - task_width,
        groups=tokenizer.groups,
        scales=tokenizer.scales,
        codes=tokenizer.codes,
        code_width=tokenizer.code_width,
        width=conditioned.shape[0],
        depth=depth,
        heads=heads,
        tasks=0 if tasks is None else tasks.shape[0],
        task_width=task_width,
        expansion=hidden.shape[0] // hidden.shape[1],
        normalised_attention=sharpness is not None,
    )


def _require(sizes: Sizes, found: Mapping[str, int | Sequence[int]]) -> None:
    for name, value in found.items():
        said = sizes.get(name)
        if said is not None and said != value:
            raise ValueError(f"{name} is {said}, but the weights are of {value}; expected the same")


def _size(sizes: Sizes, name: str) -> Any:
    if name not in sizes:
        raise ValueError(f"size {name!r} is missing; it has {', '.join(sizes)}")
    return sizes[name]


def _weight(weights: Weights, name: str) -> Tensor:
    if name not in weights:
        raise ValueError(f"no weight {name}; expected the published names, such as that")
    return weights[name]


def _count(weights: Weights, pattern: str) -> int:
    numbers = [int(match[1]) for name in weights if (match := re.match(pattern, name))]
    return max(numbers, default=-1) + 1
