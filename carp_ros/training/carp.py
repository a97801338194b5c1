"""CARP's training: builds its network from a recipe and its trainee for the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from carp_ros.networks.action_tokenizer import ActionConfig, ActionTokenizer
from carp_ros.networks.carp_policy import CarpPolicyNetwork, ImageEncoderConfig, condition_size
from carp_ros.networks.carp_transformer import TransformerConfig
from carp_ros.strict import read_strictly
from carp_ros.training.carp_trainee import CarpTrainee
from carp_ros.training.family import Rollout, Samples
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.presets import POLICIES, PolicyRecipe
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.windows import Windows


class CarpFamily:
    """The kind `carp`; see `family.Family`."""

    kind = "carp"
    presets = POLICIES
    tokenizer_kinds = ("carp",)
    by_instruction = False

    def recipe(self, content: Mapping[str, Any], where: str) -> PolicyRecipe:
        """Parse a recipe from JSON."""
        return read_strictly(PolicyRecipe, dict(content), where)

    def horizon(self, recipe: PolicyRecipe, tokenizer: TokenizerNetwork | None) -> int:
        """Return how many steps a chunk has: the tokenizer's horizon."""
        assert isinstance(tokenizer, ActionTokenizer)
        return tokenizer.vq.config.horizon

    def make(
        self,
        recipe: PolicyRecipe,
        tokenizer: TokenizerNetwork | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> CarpPolicyNetwork:
        """Return an untrained network, with its scaling fitted to a dataset."""
        assert isinstance(tokenizer, ActionTokenizer)
        return make_policy(recipe, tokenizer, cameras, data, seed)

    def remake(self, config: PolicyConfig) -> CarpPolicyNetwork:
        """Return an untrained network of a training's configuration, for loading weights into."""
        assert config.tokenizer is not None
        tokenizer = ActionTokenizer(read_strictly(ActionConfig, config.tokenizer, "tokenizer"))
        recipe = self.recipe(config.recipe, "recipe")
        return _policy(recipe, tokenizer, config.cameras, len(config.state), len(config.tasks))

    def trainee(
        self,
        network: CarpPolicyNetwork,
        recipe: PolicyRecipe,
        samples: Samples,
        rollout: Rollout | None,
    ) -> CarpTrainee:
        """Return the trainee for the training loop."""
        return CarpTrainee(network, recipe, samples, rollout)


def make_policy(
    recipe: PolicyRecipe,
    tokenizer: ActionTokenizer,
    cameras: tuple[str, ...],
    data: Windows,
    seed: int,
) -> CarpPolicyNetwork:
    """Return an untrained policy, with its scaling fitted to the states of a dataset.

    Args:
        recipe: Its sizes.
        tokenizer: Already trained.
        cameras: Of the dataset; ignored if the recipe has no image encoder.
        data: The dataset's windows.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    network = _policy(recipe, tokenizer, cameras, data.states.shape[1], len(data.task_names))
    states = torch.from_numpy(data.states)
    rot6d = torch.tensor(data.state.is_rotation)
    network.state_scaling.fit(states.amin(0), states.amax(0), rot6d)
    return network


def _policy(
    recipe: PolicyRecipe,
    tokenizer: ActionTokenizer,
    cameras: tuple[str, ...],
    state_size: int,
    tasks: int,
) -> CarpPolicyNetwork:
    vq = tokenizer.vq.config
    seen = cameras if recipe.image_encoder else ()
    encoder = recipe.image_encoder or ImageEncoderConfig()
    committed = min(recipe.committed_steps, vq.horizon)
    size = condition_size(seen, encoder, state_size, committed, vq.dimensions)
    transformer = TransformerConfig(
        recipe.fusion or size,
        vq.groups,
        vq.scales,
        vq.codes,
        vq.code_width,
        recipe.width,
        recipe.depth,
        recipe.heads,
        tasks=tasks if tasks > 1 else 0,
        drop_path=recipe.drop_path,
    )
    return CarpPolicyNetwork(
        seen,
        encoder,
        state_size,
        tokenizer,
        transformer,
        recipe.fusion,
        recipe.sharpness,
        committed,
    )
