"""CARP from state: our tokenizer, transformer and policy, for the four numbers of an action."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metaworld.demonstrations import STATE, Windows
from bench.metaworld.learning import Table, fit_states
from bench.metaworld.recipe import Recipe
from carp_ros.networks.action_tokenizer import ActionConfig, ActionTokenizer
from carp_ros.networks.carp_policy import CarpPolicyNetwork, EyesConfig
from carp_ros.networks.carp_transformer import TransformerConfig
from carp_ros.training.gradients import Inputs
from carp_ros.training.soft_targets import soft_cross_entropy, soft_targets
from carp_ros.training.windows import Indices

_BATCH = 4096


def make_tokenizer(recipe: Recipe, data: Windows | None = None) -> ActionTokenizer:
    """Return a tokenizer with its initial weights, fitted to actions if there are any."""
    torch.manual_seed(recipe.seed)
    network = ActionTokenizer(ActionConfig(recipe.vq))
    if data is not None:
        network.fit(torch.from_numpy(data.actions), torch.from_numpy(data.states))
    return network


def make_policy(
    recipe: Recipe, tokenizer: ActionTokenizer, tasks: int, data: Windows | None = None
) -> CarpPolicyNetwork:
    """Return a policy with its initial weights, fitted to states if there are any."""
    torch.manual_seed(recipe.seed)
    vq = recipe.vq
    transformer = TransformerConfig(
        recipe.fusion or STATE,
        vq.dimensions,
        vq.scales,
        vq.codes,
        vq.code_width,
        recipe.width,
        recipe.depth,
        recipe.heads,
        tasks=tasks if tasks > 1 else 0,
    )
    network = CarpPolicyNetwork(
        (), EyesConfig(), STATE, tokenizer, transformer, recipe.fusion, recipe.sharpness
    )
    if data is not None:
        fit_states(network.state_scaling, data)
    return network


class TokenizerTrainee:
    """Tokenizer and actions; a `loop.Trainee`."""

    def __init__(self, network: ActionTokenizer, table: Table) -> None:
        self.network = network.to(table.device)
        self.windows = table.windows
        self._actions = network.scaling(table.actions)
        self._table = table

    def inputs(self, batch: Indices, generator: object) -> Inputs:
        """Return `rows` of the table."""
        return {"rows": self._table.rows(batch)}

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the paper's loss, summed over dimensions, and its parts as means."""
        loss = self.network.vq(self._actions[inputs["rows"]])
        return {
            "loss": loss.loss,
            "reconstruction_loss": loss.reconstruction_loss.mean(),
            "quantization_loss": loss.quantization_loss.mean(),
        }

    def validate(self) -> dict[str, float]:
        """Return how far off actions come back, and how many codes of a dimension they use."""
        tokens = tokens_of(self.network, self._table)
        back = self.network.vq.decode(self.network.vq.latents_from_tokens(tokens)[:, -1])
        dimensions = self.network.config.vq.dimensions
        used = [len(tokens[:, d::dimensions].unique()) for d in range(dimensions)]
        error = (back - self._actions).abs() / self.network.scaling.scale
        return {"action_error": float(error.mean()), "codes_used": sum(used) / dimensions}


class PolicyTrainee:
    """Policy, states and tokens, made once by the frozen tokenizer; a `loop.Trainee`."""

    def __init__(self, network: CarpPolicyNetwork, table: Table, code_spread: float) -> None:
        self.network = network.to(table.device)
        self.windows = table.windows
        self._table = table
        vq = network.tokenizer.vq
        with torch.no_grad():
            self._tokens = tokens_of(network.tokenizer, table)
            parts = self._tokens.split(_BATCH)
            inputs = [vq.scale_inputs(vq.latents_from_tokens(part)) for part in parts]
            self._inputs = torch.cat(inputs)
            self._targets = soft_targets(vq.quantizer.codebook.detach(), code_spread)

    def inputs(self, batch: Indices, generator: object) -> Inputs:
        """Return `rows` of the table."""
        return {"rows": self._table.rows(batch)}

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the tokens' mean cross-entropy and how many greedy tokens are right."""
        rows = inputs["rows"]
        condition = self.network.condition({}, self._table.states[rows], self._table.tasks_of(rows))
        logits, tokens = self.network.transformer(condition, self._inputs[rows]), self._tokens[rows]
        loss = soft_cross_entropy(logits, tokens, self._targets)
        return {"loss": loss, "token_accuracy": (logits.argmax(-1) == tokens).float().mean()}

    def validate(self) -> dict[str, float]:
        """Return how far plans are from what the experts did."""
        return self._table.plan_error(lambda states, tasks: plan(self.network, states, tasks))


def plan(network: CarpPolicyNetwork, states: Tensor, tasks: Tensor | None) -> Tensor:
    """Return actions (B, H, D) for states (B, S)."""
    condition = network.condition({}, states, tasks)
    return network.tokenizer.decode(network.generate(condition).latent, states)


@torch.no_grad()
def tokens_of(tokenizer: ActionTokenizer, table: Table) -> Tensor:
    """Return the tokens (W, N) of all windows."""
    parts = zip(table.actions.split(_BATCH), table.states.split(_BATCH))
    return torch.cat([tokenizer.tokenize(actions, states) for actions, states in parts])
