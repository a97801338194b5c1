"""AdamW as CARP uses it: which weights decay, and the learning-rate and weight-decay schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import nn

from carp_ros.strict import Between

_NOT_DECAYED = ("embedding", "pos_", "lvl_embed", "scale_mul", "position", "level")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedules.

    Attributes:
        learning_rate: Its peak.
        betas: Of AdamW.
        weight_decay: At the beginning; decreases to 0 along a cosine.
        gradient_clip: Maximum gradient norm, of all weights together.
        warmup: Share of all steps in which the learning rate rises linearly from 0.5 % of its peak.
        decay: Schedule after warm-up: `cosine`, or `linear` after holding the peak for 5 % of the
            remaining steps.
        last_rate: Final learning rate, as a share of the peak.
    """

    learning_rate: Annotated[float, Between(1e-12, 10.0)] = 1e-4
    betas: Annotated[tuple[float, float], Between(0.0, 0.999999)] = (0.9, 0.95)
    weight_decay: Annotated[float, Between(0.0, 10.0)] = 0.05
    gradient_clip: Annotated[float, Between(1e-6, 1e6)] = 2.0
    warmup: Annotated[float, Between(0.0, 1.0)] = 0.02
    decay: Literal["cosine", "linear"] = "linear"
    last_rate: Annotated[float, Between(0.0, 1.0)] = 0.1


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW over the network's trainable weights, in two groups: decayed, not decayed.

    Not decayed are vectors and scalars (biases, norms), codebooks and positional embeddings.
    """
    decayed, kept = [], []
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            is_kept = weight.ndim < 2 or any(word in name for word in _NOT_DECAYED)
            (kept if is_kept else decayed).append(weight)
    groups = [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=all(weight.is_cuda for weight in (*decayed, *kept)),
    )


def rate_at(config: OptimizerConfig, step: int, steps: int) -> float:
    """Return the learning rate at a step, counted from 0, as a share of its peak."""
    warmup_steps = config.warmup * steps
    if step < warmup_steps:
        return 0.005 + 0.995 * step / warmup_steps
    passed = (step - warmup_steps) / max(steps - warmup_steps - 1, 1)
    if config.decay == "cosine":
        return config.last_rate + (1 - config.last_rate) * 0.5 * (1 + math.cos(math.pi * passed))
    held = 0.05
    return 1.0 if passed < held else 1 - (1 - config.last_rate) * (passed - held) / (1 - held)


def set_rates(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, step: int, steps: int
) -> float:
    """Set learning rate and weight decay for a step; return the learning rate."""
    rate = config.learning_rate * rate_at(config, step, steps)
    passed = step / max(steps - 1, 1)
    decay = config.weight_decay * 0.5 * (1 + math.cos(math.pi * passed))
    decayed, kept = optimizer.param_groups
    decayed["lr"] = kept["lr"] = rate
    decayed["weight_decay"] = decay
    return rate
