"""Tokenizer weights of the published implementation of CARP: conversion to our names and back.

The published tokenizer has separate modules for each action dimension, with two-dimensional
convolutions over images of width 1; ours is one grouped network over sequences. Only the middle
column of a published kernel ever meets data, so only that is converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from carp_ros.networks.carp_tokenizer import CarpTokenizer

Weights = Mapping[str, Tensor]

_RENAMES = (
    (r"quantizer\.codebook", r"quantizers.{d}.embedding.weight"),
    (r"encoder\.to_latent", r"quant_convs.{d}"),
    (r"decoder\.from_latent", r"post_quant_convs.{d}"),
    (r"encoder\.block_([12])\.", r"encoders.{d}.down_1.block_\1."),
    (r"encoder\.block_3\.", r"encoders.{d}.down_2.block_1."),
    (r"encoder\.block_4\.", r"encoders.{d}.down_2.block_2."),
    (r"encoder\.(down_[12])\.", r"encoders.{d}.\1.downsample.conv."),
    (r"decoder\.block_([12])\.", r"decoders.{d}.up_1.block_\1."),
    (r"decoder\.block_3\.", r"decoders.{d}.up_2.block_1."),
    (r"decoder\.block_4\.", r"decoders.{d}.up_2.block_2."),
    (r"decoder\.(up_[12])\.", r"decoders.{d}.\1.upsample.conv_transpose."),
    (r"(encoder|decoder)\.", r"\1s.{d}."),
    (r"\.(norm|conv)_([12])\.", r".\1\2."),
    (r"\.shortcut\.", r".nin_shortcut."),
)
_PARTS = ("encoder", "decoder", "quantizer", "quant_conv", "post_quant_conv")
_STATISTICS = re.compile(r"quantizers\.\d+\.ema_vocab_hit_\w+")
_WIDE = re.compile(r"qresi|quant_convs")  # kernels of 3 x 3


def with_dimension(weights: Weights, dimension: int) -> dict[str, Tensor]:
    """Rename a single-dimension tokenizer's weights to those of a tokenizer of all dimensions."""
    return {
        re.sub(rf"^({'|'.join(_PARTS)})\.", rf"\1s.{dimension}.", name): tensor
        for name, tensor in weights.items()
    }


def load_tokenizer_weights(tokenizer: CarpTokenizer, published: Weights) -> None:
    """Fill a tokenizer with published weights, all of which must fit.

    Args:
        tokenizer: Of the published one's size.
        published: Its state dict, with keys such as `encoders.0.conv_in.weight`.

    Raises:
        ValueError: If a weight is missing, unknown or of the wrong shape.
    """
    phis = phi_count(published)
    unused = {name for name in published if not _STATISTICS.fullmatch(name)}
    state: dict[str, Tensor] = {}
    for name, ours in tokenizer.state_dict().items():
        parts = []
        for d in range(tokenizer.config.dimensions):
            theirs = _published_name(name, d, len(tokenizer.config.scales), phis)
            if theirs not in published:
                raise ValueError(f"the tokenizer has no {theirs}; expected every published weight")
            parts.append(_as_sequence_weight(theirs, published[theirs]))
            unused.discard(theirs)
        state[name] = torch.stack(parts) if name == "quantizer.codebook" else torch.cat(parts)
        if state[name].shape != ours.shape:
            raise ValueError(
                f"the tokenizer's {_published_name(name, 0, 1, 1)} makes {name} of shape"
                f" {tuple(state[name].shape)}; expected {tuple(ours.shape)} of {tokenizer.config}"
            )
    if unused:
        raise ValueError(
            f"the tokenizer has {', '.join(sorted(unused)[:4])}; expected only published weights"
        )
    tokenizer.load_state_dict(state)


def published_tokenizer_weights(tokenizer: CarpTokenizer) -> dict[str, Tensor]:
    """Return a tokenizer's weights under the published names; reverses `load_tokenizer_weights`."""
    config = tokenizer.config
    published: dict[str, Tensor] = {}
    for name, ours in tokenizer.state_dict().items():
        for d, part in enumerate(ours.chunk(config.dimensions)):
            theirs = _published_name(name, d, len(config.scales), len(config.scales))
            if name == "quantizer.codebook":
                published[theirs] = part[0]
            elif part.dim() == 3:
                wide = part.new_zeros(*part.shape, 3 if _WIDE.search(theirs) else 1)
                wide[..., wide.shape[-1] // 2] = part
                published[theirs] = wide
            else:
                published[theirs] = part
    return published


def phi_count(published: Weights) -> int:
    """Return how many convolutions phi a published tokenizer has for each dimension."""
    phis = {match[1] for name in published if (match := re.search(r"qresi_ls\.(\d+)\.", name))}
    if not phis:
        raise ValueError(
            "the tokenizer has no quantizers.0.quant_resi.qresi_ls.0.weight; expected a convolution"
            " phi for each scale (a single phi for all scales is not supported)"
        )
    return len(phis)


def phi_of_scale(k: int, scales: int, phis: int) -> int:
    """Return which phi the published quantizer uses for a scale: the one with the nearest tick."""
    if scales == 1:
        return 0
    edge = 1.0 / (3 if phis == 4 else 2) / phis
    ticks = np.linspace(edge, 1.0 - edge, phis)
    return int(np.argmin(np.abs(ticks - k / (scales - 1))))


def _published_name(ours: str, dimension: int, scales: int, phis: int) -> str:
    if match := re.match(r"quantizer\.scales\.(\d+)\.phi\.(.+)", ours):
        phi = phi_of_scale(int(match[1]), scales, phis)
        return f"quantizers.{dimension}.quant_resi.qresi_ls.{phi}.{match[2]}"
    for pattern, replacement in _RENAMES:
        ours = re.sub(pattern, replacement, ours, count=1)
    return ours.replace("{d}", str(dimension))


def _as_sequence_weight(name: str, weight: Tensor) -> Tensor:
    """Return the middle column of a two-dimensional kernel; other weights unchanged."""
    if weight.dim() != 4:
        return weight
    return weight[..., weight.shape[-1] // 2]
