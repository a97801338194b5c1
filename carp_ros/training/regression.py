"""The regression policy's training: recipe, presets and trainee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from carp_ros.inference.layout import UNKNOWN_UNIT
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.regression_policy import (
    SECOND_STEP,
    RegressionConfig,
    RegressionPolicyNetwork,
)
from carp_ros.networks.scaling import widened
from carp_ros.strict import read_strictly
from carp_ros.training.action_error import action_errors
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.family import Rollout, Samples
from carp_ros.training.gradients import Inputs
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.visuomotor_trainee import VisuomotorTrainee, crops_of
from carp_ros.training.windows import Windows


@dataclass(frozen=True)
class RegressionRecipe:
    """How to make a policy.

    Attributes:
        network: Its sizes.
        image_encoder: Image encoder of each camera; None for a state-only policy.
        loop: Settings of the training loop.
        noise: Noise on the states in training.
        jitter: Colour jitter of the images in training.
    """

    network: RegressionConfig
    image_encoder: ImageEncoderConfig | None
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)
    jitter: ColourJitter = field(default_factory=ColourJitter)


_SMALL_LOOP = LoopConfig(
    40, 64, 10, optimizer=OptimizerConfig(5e-4, gradient_clip=1.0, last_rate=0.01)
)

REGRESSIONS = {
    "cpu-small": RegressionRecipe(
        RegressionConfig(),
        ImageEncoderConfig(),
        _SMALL_LOOP,
        StateNoise(position_m=0.003, rot6d=0.01),
        ColourJitter(contrast=0.1, brightness=0.1, tint=0.03),
    ),
    "state": RegressionRecipe(
        RegressionConfig(),
        None,
        replace(_SMALL_LOOP, epochs=100, optimizer=OptimizerConfig(1e-3, last_rate=0.01)),
    ),
}


class RegressionFamily:
    """The kind `regression`; see `family.Family`."""

    kind = "regression"
    presets = REGRESSIONS
    tokenizer_kinds: tuple[str, ...] = ()
    by_instruction = False

    def recipe(self, content: Mapping[str, Any], where: str) -> RegressionRecipe:
        """Parse a recipe from JSON."""
        return read_strictly(RegressionRecipe, dict(content), where)

    def horizon(self, recipe: RegressionRecipe, tokenizer: TokenizerNetwork | None) -> int:
        """Return how many steps a chunk has."""
        return recipe.network.horizon

    def make(
        self,
        recipe: RegressionRecipe,
        tokenizer: TokenizerNetwork | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> RegressionPolicyNetwork:
        """Return an untrained network, with its scaling fitted to a dataset."""
        torch.manual_seed(seed)
        both_tools = data.state.kind == data.action.kind == "tool"
        network = _network(
            recipe, both_tools, cameras, len(data.state), len(data.action), len(data.task_names)
        )
        states, actions = torch.from_numpy(data.states), torch.from_numpy(data.actions)
        rotations = torch.tensor(data.state.is_rotation)
        unknown = torch.tensor([unit == UNKNOWN_UNIT for unit in data.state.units])
        low, high = widened(states.amin(0), states.amax(0), unknown)
        network.state_scaling.fit(low, high, rotations)
        flat = network.scaled(actions, states).flatten(0, 1)  # the scaling still is the identity
        rotations = torch.tensor(data.action.is_rotation)
        network.action_scaling.fit_outputs(flat.amin(0), flat.amax(0), rotations)
        return network

    def remake(self, config: PolicyConfig) -> RegressionPolicyNetwork:
        """Return an untrained network of a training's configuration, for loading weights into."""
        recipe = self.recipe(config.recipe, "recipe")
        both_tools = config.state.kind == config.action.kind == "tool"
        sizes = len(config.state), len(config.action), len(config.tasks)
        return _network(recipe, both_tools, config.cameras, *sizes)

    def trainee(
        self,
        network: RegressionPolicyNetwork,
        recipe: RegressionRecipe,
        samples: Samples,
        rollout: Rollout | None,
    ) -> RegressionTrainee:
        """Return the trainee for the training loop."""
        return RegressionTrainee(network, recipe, samples, rollout)


class RegressionTrainee(VisuomotorTrainee):
    """A regression policy's network; a `loop.Trainee`."""

    network: RegressionPolicyNetwork

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the mean squared errors of both passes, and their sum."""
        network, states = self.network, inputs["states"]
        wanted = network.scaled(inputs["actions"], states)
        condition = self._condition(inputs)
        first = network.predict(condition, torch.zeros_like(wanted), 0.0)
        noise = torch.randn_like(wanted)
        question = SECOND_STEP * wanted + (1.0 - SECOND_STEP) * noise
        second = network.predict(condition, question, SECOND_STEP)
        first_loss, second_loss = ((made - wanted).square().mean() for made in (first, second))
        loss = first_loss + second_loss
        return {"loss": loss, "first_loss": first_loss, "second_loss": second_loss}

    def validated(self, inputs: Inputs) -> dict[str, float]:
        """Return the errors of plans."""
        network, states = self.network, inputs["states"]
        plan = network.scaled_plan(self._condition(inputs)).float()
        wanted = network.scaled(inputs["actions"], states)
        made = network.unscaled(plan, states).cpu().numpy()
        true = inputs["actions"].cpu().numpy()
        loss = float((plan - wanted).square().mean())
        return {"loss": loss, **action_errors(made, true, self.data.action)}

    def _condition(self, inputs: Inputs) -> Tensor:
        return self.network.condition(crops_of(inputs), inputs["states"], inputs.get("task"))


def _network(
    recipe: RegressionRecipe,
    both_tools: bool,
    cameras: tuple[str, ...],
    state_size: int,
    action_size: int,
    tasks: int,
) -> RegressionPolicyNetwork:
    config = replace(recipe.network, relative=recipe.network.relative and both_tools)
    seen = cameras if recipe.image_encoder else ()
    encoder = recipe.image_encoder or ImageEncoderConfig()
    return RegressionPolicyNetwork(seen, encoder, state_size, action_size, config, tasks)
