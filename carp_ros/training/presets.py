"""Recipes by name: those of the paper, and small ones for two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from carp_ros.inference.layout import TOOL
from carp_ros.networks.action_tokenizer import ActionConfig
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.carp_tokenizer import TokenizerConfig
from carp_ros.strict import Between
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig


@dataclass(frozen=True)
class TokenizerRecipe:
    """How to make a tokenizer: action representation, sizes, training and noise on states."""

    network: ActionConfig
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)


@dataclass(frozen=True)
class PolicyRecipe:
    """How to make a policy.

    Attributes:
        width, depth, heads: Of the transformer.
        drop_path: Probability of dropping a branch of the last block in training.
        image_encoder: Image encoder of each camera; None for a state-only policy.
        loop: Settings of the training loop.
        noise: Noise on the states in training.
        jitter: Colour jitter of the images in training.
        code_spread: Label smoothing: how far a token's target spreads to codes near it; close to 0,
            as in the paper, does not.
        fusion: Width of a hidden layer that mixes camera features and state; 0, as in the paper,
            has none.
        sharpness: Inverse temperature of the mean over codes that is decoded; None, as in the
            paper, takes the likeliest codes.
        committed_steps: Most steps that an arm may be committed to when a plan begins; 0, as in the
            paper, for a policy that is not told.
    """

    width: Annotated[int, Between(1, 100_000)]
    depth: Annotated[int, Between(1, 200)]
    heads: Annotated[int, Between(1, 1000)]
    drop_path: Annotated[float, Between(0.0, 0.999)]
    image_encoder: ImageEncoderConfig | None
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)
    jitter: ColourJitter = field(default_factory=ColourJitter)
    code_spread: Annotated[float, Between(1e-9, 1e6)] = 1e-3
    fusion: Annotated[int, Between(0, 100_000)] = 0
    sharpness: Annotated[float, Between(0.0, 1e6)] | None = None
    committed_steps: Annotated[int, Between(0, 64)] = 0


_VQ_OPTIMIZER = OptimizerConfig(
    3e-4, betas=(0.5, 0.9), weight_decay=0.005, gradient_clip=10.0, decay="cosine", last_rate=0.3
)
# Absolute poses, as published: only positions and gripper are scaled, rot6d already is in [-1, 1].
_PAPER_ACTIONS = ActionConfig(
    TokenizerConfig(), scaled=tuple(not rotation for rotation in TOOL.is_rotation)
)
_PAPER_VQ = LoopConfig(400, 256, validate_every=20, precision="fp32", optimizer=_VQ_OPTIMIZER)
# Half of the paper's codes are dead after a short training; averages and restarts keep them in use.
_SMALL_ACTIONS = ActionConfig(
    TokenizerConfig(
        scales=(1, 2, 4), channels=4, cosine=False, codebook_decay=0.99, restart_below=0.1
    ),
    relative=True,
)
_SMALL_VQ = LoopConfig(
    15,
    256,
    validate_every=10,
    precision="fp32",
    optimizer=OptimizerConfig(
        3e-3,
        betas=(0.5, 0.9),
        weight_decay=0.005,
        gradient_clip=10.0,
        decay="cosine",
        last_rate=0.02,
    ),
)

# Numbers of any meaning and fewer windows: smaller batches, more epochs.
_STATE_ACTIONS = ActionConfig(
    TokenizerConfig(
        scales=(1, 2, 4),
        codes=256,
        channels=4,
        cosine=False,
        codebook_decay=0.99,
        restart_below=0.1,
    ),
    relative=True,
)
_STATE_VQ = replace(_SMALL_VQ, epochs=40, batch=64)

TOKENIZER_NOISE = StateNoise(position_m=0.005, rot6d=0.01)
"""Of tokenizers, which must be trained with at least as much as policies."""

_POLICY_NOISE = StateNoise(position_m=0.003, rot6d=0.01)

TOKENIZERS = {
    "paper-state": TokenizerRecipe(_PAPER_ACTIONS, _PAPER_VQ),
    "paper-image": TokenizerRecipe(_PAPER_ACTIONS, _PAPER_VQ),
    "cpu-small": TokenizerRecipe(_SMALL_ACTIONS, _SMALL_VQ, TOKENIZER_NOISE),
    "state": TokenizerRecipe(_STATE_ACTIONS, _STATE_VQ),
}

POLICIES = {
    "paper-state": PolicyRecipe(
        64,
        8,
        8,
        0.1 * 8 / 24,
        None,
        LoopConfig(4000, 256, 100, optimizer=OptimizerConfig(1e-4)),
    ),
    "paper-image": PolicyRecipe(
        160,
        16,
        16,
        0.1 * 16 / 24,
        ImageEncoderConfig("resnet18", image_px=(84, 84), crop_px=(76, 76)),
        LoopConfig(4000, 64, 50, optimizer=OptimizerConfig(2.5e-5)),
    ),
    "cpu-small": PolicyRecipe(
        96,
        4,
        4,
        0.0,
        ImageEncoderConfig(),
        LoopConfig(40, 64, 10, optimizer=OptimizerConfig(5e-4, gradient_clip=1.0, last_rate=0.01)),
        _POLICY_NOISE,
        ColourJitter(contrast=0.1, brightness=0.1, tint=0.03),
        code_spread=0.6,
        fusion=256,
        sharpness=2.0,
    ),
    "state": PolicyRecipe(
        64,
        4,
        4,
        0.0,
        None,
        LoopConfig(80, 64, 20, optimizer=OptimizerConfig(6e-4, gradient_clip=1.0, last_rate=0.01)),
        code_spread=0.6,
        fusion=256,
        sharpness=2.0,
    ),
}
