"""CARP's tokenizer in training: networks fitted to a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from carp_ros.networks.action_tokenizer import ActionConfig, ActionTokenizer
from carp_ros.strict import read_strictly
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.presets import TOKENIZERS, TokenizerRecipe
from carp_ros.training.windows import Windows


class CarpTokenizerKind:
    """The kind `carp`; see `tokenizer_kind.TokenizerKind`."""

    kind = "carp"
    presets = TOKENIZERS

    def make(self, recipe: TokenizerRecipe, data: Windows, seed: int) -> ActionTokenizer:
        """Return an untrained network, with its scaling fitted to a dataset."""
        return make_tokenizer(recipe.network, recipe.noise, data, seed)

    def remake(self, config: Mapping[str, Any], where: str) -> ActionTokenizer:
        """Return an untrained network of a training's configuration."""
        return ActionTokenizer(read_strictly(ActionConfig, dict(config), where))


def make_tokenizer(
    config: ActionConfig, noise: StateNoise, data: Windows, seed: int
) -> ActionTokenizer:
    """Return an untrained tokenizer, with its scaling fitted to the actions of a dataset.

    Args:
        config: Its sizes and the representation of actions.
        noise: Noise on the states in training.
        data: The dataset's windows.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    network = ActionTokenizer(config_for(config, data))
    states = noise.applied(data.states, np.random.default_rng(seed), data.state)
    network.fit(torch.from_numpy(data.actions), torch.from_numpy(states))
    return network


def config_for(config: ActionConfig, data: Windows) -> ActionConfig:
    """Adapt a tokenizer's configuration to the layout of a dataset's actions.

    Actions are relative only if state and action are both tool poses; rotations are never scaled.
    """
    both_tools = data.state.kind == data.action.kind == "tool"
    rotations = data.action.is_rotation
    scaled = tuple(not rotation for rotation in rotations) if any(config.scaled) else ()
    return dataclasses.replace(
        config,
        vq=dataclasses.replace(config.vq, dimensions=len(data.action)),
        relative=config.relative and both_tools,
        scaled=scaled if any(rotations) else (),
    )
