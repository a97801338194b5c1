"""Tokenizers that are fitted to a dataset, not trained: FAST and uniform bins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from carp_ros.networks.action_numbers import TOOL_NUMBERS
from carp_ros.networks.bins_tokenizer import BinsConfig, BinsTokenizer
from carp_ros.networks.fast_tokenizer import FastConfig, FastTokenizer
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.strict import read_strictly
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.loop import LoopConfig
from carp_ros.training.presets import TOKENIZER_NOISE
from carp_ros.training.windows import Windows

_NO_LOOP = LoopConfig(1, 128)
"""There is nothing to loop over: of it, only the seed and the size of a batch are used."""

Config = TypeVar("Config", FastConfig, BinsConfig)


@dataclass(frozen=True)
class FastRecipe:
    """How to make a FAST: action representation, sizes and noise on states."""

    network: FastConfig
    loop: LoopConfig = _NO_LOOP
    noise: StateNoise = field(default_factory=StateNoise)


@dataclass(frozen=True)
class BinsRecipe:
    """How to make bins: action representation, their number and noise on states."""

    network: BinsConfig
    loop: LoopConfig = _NO_LOOP
    noise: StateNoise = field(default_factory=StateNoise)


class FastTokenizerKind:
    """The kind `fast`; see `tokenizer_kind.TokenizerKind`."""

    kind = "fast"
    presets: Mapping[str, FastRecipe] = {
        "cpu-small": FastRecipe(FastConfig(), noise=TOKENIZER_NOISE),
        "paper": FastRecipe(FastConfig()),
    }

    def make(self, recipe: FastRecipe, data: Windows, seed: int) -> FastTokenizer:
        """Return a tokenizer that is fitted to a dataset, vocabulary included."""
        network = FastTokenizer(config_for(recipe.network, data))
        _fit(network, recipe.noise, data, seed)
        return network

    def remake(self, config: Mapping[str, Any], where: str) -> FastTokenizer:
        """Return the tokenizer of a training's configuration, but for its scaling."""
        return FastTokenizer(read_strictly(FastConfig, dict(config), where))


class BinsTokenizerKind:
    """The kind `binning`; see `tokenizer_kind.TokenizerKind`."""

    kind = "binning"
    presets: Mapping[str, BinsRecipe] = {
        "cpu-small": BinsRecipe(BinsConfig(), noise=TOKENIZER_NOISE),
        "paper": BinsRecipe(BinsConfig()),
    }

    def make(self, recipe: BinsRecipe, data: Windows, seed: int) -> BinsTokenizer:
        """Return a tokenizer whose scaling is fitted to a dataset."""
        network = BinsTokenizer(config_for(recipe.network, data))
        _fit(network, recipe.noise, data, seed)
        return network

    def remake(self, config: Mapping[str, Any], where: str) -> BinsTokenizer:
        """Return the tokenizer of a training's configuration, but for its scaling."""
        return BinsTokenizer(read_strictly(BinsConfig, dict(config), where))


def config_for(config: Config, data: Windows) -> Config:
    """Adapt a configuration to the layout of a dataset's actions."""
    tool = data.state.kind == data.action.kind == "tool"
    dimensions = TOOL_NUMBERS if tool else len(data.action)
    return dataclasses.replace(config, dimensions=dimensions, tool=tool)


def _fit(network: NumbersTokenizer, noise: StateNoise, data: Windows, seed: int) -> None:
    noisy = noise.applied(data.states, np.random.default_rng(seed), data.state)
    with torch.no_grad():
        network.fit(torch.from_numpy(data.actions), torch.from_numpy(noisy))
