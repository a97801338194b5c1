"""The baseline: a plain network that regresses the whole chunk, and shares all else with CARP."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.metaworld.demonstrations import ACTION, STATE, Windows
from bench.metaworld.learning import Table, fit_states
from bench.metaworld.recipe import Recipe
from carp_ros.networks.scaling import Scaling
from carp_ros.training.gradients import Inputs
from carp_ros.training.windows import Indices

_TASK_WIDTH = 3  # as CARP's


class ChunkRegression(nn.Module):
    """States, and a task's embedding, to actions.

    Args:
        horizon: Actions of a chunk, H.
        hidden: Widths of the hidden layers.
        tasks: How many an embedding tells apart; 1 has none.
    """

    def __init__(self, horizon: int, hidden: tuple[int, ...], tasks: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.state_scaling, self.action_scaling = Scaling(STATE), Scaling(ACTION)
        self.task_embedding = nn.Embedding(tasks, _TASK_WIDTH) if tasks > 1 else None
        widths = (STATE + (_TASK_WIDTH if tasks > 1 else 0), *hidden)
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], horizon * ACTION))

    def forward(self, states: Tensor, tasks: Tensor | None) -> Tensor:
        """Return scaled actions (B, H, D) of states (B, S)."""
        features = self.state_scaling(states)
        if tasks is not None and self.task_embedding is not None:
            features = torch.cat((features, self.task_embedding(tasks)), dim=1)
        return self.layers(features).unflatten(1, (self.horizon, ACTION))

    def plan(self, states: Tensor, tasks: Tensor | None) -> Tensor:
        """Return actions (B, H, D) of states (B, S)."""
        return self.action_scaling.inverse(self(states, tasks))


def make_regression(recipe: Recipe, tasks: int, data: Windows | None = None) -> ChunkRegression:
    """Return a network with its initial weights, fitted to states and actions if there are any."""
    torch.manual_seed(recipe.seed)
    network = ChunkRegression(recipe.vq.horizon, recipe.hidden, tasks)
    if data is not None:
        fit_states(network.state_scaling, data)
        actions = torch.from_numpy(data.actions).flatten(0, 1)
        low, high = actions.amin(0), actions.amax(0)
        network.action_scaling.fit(low, high, torch.zeros_like(low, dtype=torch.bool))
    return network


class RegressionTrainee:
    """Network and windows; a `loop.Trainee`."""

    def __init__(self, network: ChunkRegression, table: Table) -> None:
        self.network = network.to(table.device)
        self.windows = table.windows
        self._actions = network.action_scaling(table.actions)
        self._table = table

    def inputs(self, batch: Indices, generator: object) -> Inputs:
        """Return `rows` of the table."""
        return {"rows": self._table.rows(batch)}

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the mean squared error of scaled actions."""
        rows = inputs["rows"]
        made = self.network(self._table.states[rows], self._table.tasks_of(rows))
        return {"loss": (made - self._actions[rows]).square().mean()}

    def validate(self) -> dict[str, float]:
        """Return how far plans are from what the experts did."""
        return self._table.plan_error(self.network.plan)
