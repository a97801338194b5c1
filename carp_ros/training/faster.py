"""FASTer's training: recipes, and its network from a recipe and a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from carp_ros.inference.bundle import MOST_GRAPHS
from carp_ros.inference.prompt import BINS, WordPrompts
from carp_ros.networks.action_expert import ExpertConfig
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.faster_vla import FasterVla
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.networks.tiny_backbone import TinyBackbone
from carp_ros.strict import read_strictly
from carp_ros.training.family import Rollout, Samples
from carp_ros.training.faster_backbone import freeze_backbone, make_backbone
from carp_ros.training.faster_recipe import PRESETS, FasterRecipe
from carp_ros.training.faster_trainee import FasterTrainee
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.tokenizer_kinds import tokenizer_kind_named
from carp_ros.training.windows import Windows

_INIT_STD = 0.02
MOST_BLOCKS = MOST_GRAPHS - 20
"""Passes of a chunk, each of which is a graph; some graphs are left for cameras and decoders."""


class FasterFamily:
    """The kind `faster`; see `family.Family`."""

    kind = "faster"
    tokenizer_kinds = ("faster", "fast", "binning")
    by_instruction = True
    presets: Mapping[str, FasterRecipe] = PRESETS

    def recipe(self, content: Mapping[str, Any], where: str) -> FasterRecipe:
        """Parse a recipe from JSON."""
        return read_strictly(FasterRecipe, dict(content), where)

    def horizon(self, recipe: FasterRecipe, tokenizer: TokenizerNetwork | None) -> int:
        """Return how many steps a chunk has: the tokenizer's horizon."""
        assert isinstance(tokenizer, NumbersTokenizer)
        return tokenizer.config.horizon

    def make(
        self,
        recipe: FasterRecipe,
        tokenizer: TokenizerNetwork | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> FasterPolicyNetwork:
        """Return an untrained network, with its scaling fitted to the states of a dataset."""
        assert isinstance(tokenizer, NumbersTokenizer)
        torch.manual_seed(seed)
        sizes = len(data.state), len(data.action)
        network = _network(recipe, tokenizer, cameras, sizes, data.task_names, weights=True)
        if recipe.published is not None:
            freeze_backbone(network, network.vla.backbone, recipe.published)
        states = torch.from_numpy(data.states)
        network.state_scaling.fit(
            states.amin(0), states.amax(0), torch.tensor(data.state.is_rotation)
        )
        _spread_numbers(network)
        return network

    def remake(self, config: PolicyConfig) -> FasterPolicyNetwork:
        """Return an untrained network of a training's configuration, for loading weights into."""
        assert config.tokenizer is not None
        kind = tokenizer_kind_named(config.tokenizer_kind, "tokenizer_kind")
        tokenizer = kind.remake(config.tokenizer, "tokenizer")
        recipe = self.recipe(config.recipe, "recipe")
        sizes = len(config.state), len(config.action)
        return _network(recipe, tokenizer, config.cameras, sizes, config.tasks, weights=False)

    def trainee(
        self,
        network: FasterPolicyNetwork,
        recipe: FasterRecipe,
        samples: Samples,
        rollout: Rollout | None,
    ) -> FasterTrainee:
        """Return the trainee for the training loop."""
        return FasterTrainee(network, recipe, samples, rollout)


def _network(
    recipe: FasterRecipe,
    tokenizer: NumbersTokenizer,
    cameras: tuple[str, ...],
    sizes: tuple[int, int],
    instructions: tuple[str, ...],
    *,
    weights: bool,
) -> FasterPolicyNetwork:
    backbone, words = make_backbone(recipe, len(cameras), instructions, weights=weights)
    prompts = WordPrompts(words, recipe.prompt_tokens, sizes[0])
    chunk = tokenizer.chunk_tokens
    width = recipe.expert_width or backbone.shape.width // 2
    expert = ExpertConfig(
        chunk.codes,
        chunk.tokens,
        recipe.block or chunk.together,
        width,
        recipe.expert_hidden or -(-(4 * (2 * width // 3)) // 256) * 256,
        levels=recipe.tables or chunk.levels,
    )
    if expert.blocks > MOST_BLOCKS:
        raise ValueError(
            f"a chunk has {chunk.tokens} tokens, and {expert.block} are predicted at once: that"
            f" takes {expert.blocks} passes; expected {MOST_BLOCKS} at most: make a tokenizer with"
            " fewer tokens (carp train tokenizer --most-tokens)"
        )
    vla = FasterVla(backbone, expert)
    committed = min(recipe.committed_steps, tokenizer.config.horizon)
    sketched = recipe.sketch_weight > 0.0 and recipe.published is None
    seen = len(cameras) * (recipe.image_tokens + recipe.looks) if sketched else 0
    return FasterPolicyNetwork(
        cameras,
        vla,
        tokenizer,
        prompts,
        instructions,
        sizes,
        committed,
        seen,
        recipe.sharpness,
    )


@torch.no_grad()
def _spread_numbers(network: FasterPolicyNetwork) -> None:
    """Let the embeddings of numbers begin as waves of their value, so that near ones are alike."""
    backbone = network.vla.backbone
    if not isinstance(backbone, TinyBackbone):
        return
    table = backbone.text.weight
    first = network.prompts.words.tokens("0")[0]
    values = torch.linspace(0.0, 1.0, BINS)
    waves = 0.5 * 2.0 ** torch.linspace(0.0, 5.0, table.shape[1] // 2)  # turns over the range
    angles = 2.0 * np.pi * values[:, None] * waves
    part = torch.cat((angles.sin(), angles.cos()), dim=1)
    table[first : first + BINS, : part.shape[1]] = _INIT_STD * part
