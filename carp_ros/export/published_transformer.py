"""Transformer weights of the published implementation of CARP: conversion to our names and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from carp_ros.networks.carp_transformer import CarpTransformer

Weights = Mapping[str, Tensor]

_RENAMES = (
    (r"to_condition\.", "obs_embed."),
    (r"from_code\.", "word_embed."),
    (r"task_embedding\.", "task_embed."),
    (r"start_positions", "pos_start"),
    (r"^positions", "pos_1LC"),
    (r"levels", "lvl_embed.weight"),
    (r"\.attention\.qkv\.", ".attn.mat_qkv."),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.attention\.sharpness", ".attn.scale_mul_1H11"),
    (r"\.attention\.", ".attn."),
    (r"(blocks\.\d+)\.hidden\.", r"\1.ffn.fc1."),
    (r"(blocks\.\d+)\.out\.", r"\1.ffn.fc2."),
)
_CONSTANTS = re.compile(r"lvl_1L|attn_bias_for_masking|blocks\.\d+\.attn\.zero_k_bias")
_WITH_BATCH_AXIS = ("pos_start", "pos_1LC", "scale_mul_1H11")


def load_transformer_weights(transformer: CarpTransformer, published: Weights) -> None:
    """Fill a transformer with published weights, all of which must fit.

    Args:
        transformer: Of the published one's size.
        published: Its state dict, with keys such as `blocks.0.attn.mat_qkv.weight`; weights of an
            image encoder are ignored.

    Raises:
        ValueError: If a weight is missing, unknown or of the wrong shape.
    """
    unused = {
        name
        for name in published
        if not _CONSTANTS.fullmatch(name) and not name.startswith("obs_encoder.")
    }
    state: dict[str, Tensor] = {}
    for name, ours in transformer.state_dict().items():
        parts = []
        for theirs in _published_names(name, transformer.config.depth):
            if theirs not in published:
                raise ValueError(f"the policy has no {theirs}; expected every published weight")
            unused.discard(theirs)
            part = published[theirs]
            parts.append(part[0] if theirs.endswith(_WITH_BATCH_AXIS) else part)
        state[name] = torch.cat(parts)
        if state[name].shape != ours.shape:
            raise ValueError(
                f"the policy's {_published_names(name, 1)[0]} makes {name} of shape"
                f" {tuple(state[name].shape)}; expected {tuple(ours.shape)}"
                f" of {transformer.config}"
            )
    if unused:
        raise ValueError(
            f"the policy has {', '.join(sorted(unused)[:4])}; expected only published weights"
        )
    transformer.load_state_dict(state)


def published_transformer_weights(transformer: CarpTransformer) -> dict[str, Tensor]:
    """Return weights under the published names; reverses `load_transformer_weights`."""
    width, depth = transformer.config.width, transformer.config.depth
    published: dict[str, Tensor] = {}
    for name, ours in transformer.state_dict().items():
        names = _published_names(name, depth)
        sizes = [len(ours)] if len(names) == 1 else [6 * width] * depth + [2 * width]
        for theirs, part in zip(names, ours.split(sizes)):
            published[theirs] = part[None] if theirs.endswith(_WITH_BATCH_AXIS) else part
    return published


def _published_names(ours: str, depth: int) -> list[str]:
    """Return the published weights that make up ours; the modulation has one per block and head."""
    if match := re.fullmatch(r"to_modulation\.(\w+)", ours):
        return [
            *(f"blocks.{i}.ada_lin.1.{match[1]}" for i in range(depth)),
            f"head_nm.ada_lin.1.{match[1]}",
        ]
    for pattern, replacement in _RENAMES:
        ours = re.sub(pattern, replacement, ours, count=1)
    return [ours]
