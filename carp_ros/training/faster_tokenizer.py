"""FASTerVQ's training: its recipes, and networks fitted to a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from carp_ros.networks.faster_actions import FasterActionConfig, FasterActionTokenizer
from carp_ros.networks.faster_tokenizer import FasterTokenizerConfig
from carp_ros.strict import read_strictly
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig
from carp_ros.training.presets import TOKENIZER_NOISE
from carp_ros.training.windows import Windows

_CHUNKS_FOR_CODES = 8192  # that codes are first spread over


@dataclass(frozen=True)
class FasterTokenizerRecipe:
    """How to make a FASTerVQ: action representation, sizes, training and noise on states."""

    network: FasterActionConfig
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)


def _small(width: int, heads: int, codes: int, code_width: int) -> FasterActionConfig:
    vq = FasterTokenizerConfig(
        strides=(2, 2), width=width, heads=heads, depth=1, codes=codes, code_width=code_width
    )
    return FasterActionConfig(vq, gripper="rule")


_PAPER_LOOP = LoopConfig(
    300,
    512,
    validate_every=10,
    optimizer=OptimizerConfig(
        1e-4, betas=(0.9, 0.95), weight_decay=0.1, gradient_clip=1.0, decay="cosine"
    ),
)
_SMALL_LOOP = LoopConfig(
    20,
    128,
    validate_every=5,
    precision="fp32",
    optimizer=OptimizerConfig(
        2e-3,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        gradient_clip=1.0,
        decay="cosine",
        last_rate=0.02,
    ),
)


class FasterTokenizerKind:
    """The kind `faster`; see `tokenizer_kind.TokenizerKind`."""

    kind = "faster"
    presets: Mapping[str, FasterTokenizerRecipe] = {
        "paper": FasterTokenizerRecipe(FasterActionConfig(), _PAPER_LOOP, TOKENIZER_NOISE),
        "cpu-small": FasterTokenizerRecipe(_small(96, 4, 512, 64), _SMALL_LOOP, TOKENIZER_NOISE),
        "tiny": FasterTokenizerRecipe(_small(64, 4, 512, 64), _SMALL_LOOP, TOKENIZER_NOISE),
    }

    def make(
        self, recipe: FasterTokenizerRecipe, data: Windows, seed: int
    ) -> FasterActionTokenizer:
        """Return an untrained network, its scaling and codes fitted to a dataset."""
        torch.manual_seed(seed)
        network = FasterActionTokenizer(config_for(recipe.network, data))
        noisy = recipe.noise.applied(data.states, np.random.default_rng(seed), data.state)
        actions, states = torch.from_numpy(data.actions), torch.from_numpy(noisy)
        with torch.no_grad():
            network.fit(actions, states)
            some = torch.randperm(len(actions))[:_CHUNKS_FOR_CODES]
            network.begin(network.normalised(actions[some], states[some]))
        return network

    def remake(self, config: Mapping[str, Any], where: str) -> FasterActionTokenizer:
        """Return an untrained network of a training's configuration."""
        return FasterActionTokenizer(read_strictly(FasterActionConfig, dict(config), where))


def config_for(config: FasterActionConfig, data: Windows) -> FasterActionConfig:
    """Adapt a configuration to the layout of a dataset's actions.

    Tool poses are position, rotation and gripper; joints are split in the middle, the wrist apart
    from shoulder and elbow; other numbers are a group each, and their last one is no gripper.
    """
    if data.state.kind == data.action.kind == "tool":
        return dataclasses.replace(config, tool=True)
    size = len(data.action)
    arm = size - 1
    joints = data.action.kind == "joints"
    groups = (arm - arm // 2, arm // 2, 1) if joints and arm > 1 else (1,) * size
    vq = dataclasses.replace(config.vq, groups=groups)
    return dataclasses.replace(
        config, vq=vq, tool=False, gripper=config.gripper if joints else "vq"
    )
