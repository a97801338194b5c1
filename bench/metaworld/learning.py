"""What both methods share: arrays on the device, and how states are scaled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.metaworld.demonstrations import Windows
from carp_ros.networks.scaling import Scaling
from carp_ros.training.device import to_device, training_device
from carp_ros.training.ranks import share_of
from carp_ros.training.windows import Indices

LEAST_SPAN = 0.02
"""What varied less in the demonstrations, in [m] or of a quaternion, is scaled as if it had varied
this much: a micrometre's difference must not look like another world."""
VALIDATED = 512

Plan = Callable[[Tensor, Tensor | None], Tensor]
"""States (B, S) and indices of tasks (B,), or None for a single one, to actions (B, H, D)."""


class Table:
    """A training's windows on its device.

    Args:
        data: The windows.
        steps_an_epoch: An epoch is to have so many steps, or as many as every window takes.
        batch: Windows a step.

    Attributes:
        steps_an_epoch: That an epoch has.
        windows: Of an epoch; each is in it.
    """

    def __init__(self, data: Windows, steps_an_epoch: int, batch: int) -> None:
        self.device = training_device()
        self.states = to_device(data.states, self.device)
        self.actions = to_device(data.actions, self.device)
        self.tasks = to_device(data.tasks, self.device) if len(data.task_names) > 1 else None
        self.steps_an_epoch = max(steps_an_epoch, -(-len(data) // batch))
        self.windows: Indices = np.resize(np.arange(len(data)), self.steps_an_epoch * batch)

    def rows(self, batch: Indices) -> Tensor:
        """Return which rows are this process's share of a batch."""
        return to_device(batch[share_of(len(batch))], self.device)

    def tasks_of(self, rows: Tensor) -> Tensor | None:
        """Return the tasks of some rows; None if there is but one."""
        return None if self.tasks is None else self.tasks[rows]

    @torch.no_grad()
    def plan_error(self, plan: Plan) -> dict[str, float]:
        """Return how far plans are from what the experts did, of moments spread over all."""
        count = len(self.states)
        rows = torch.arange(0, count, max(1, count // VALIDATED), device=self.device)
        planned = plan(self.states[rows], self.tasks_of(rows))
        return {"plan_error": float((planned - self.actions[rows]).abs().mean())}


def fit_states(scaling: Scaling, data: Windows) -> None:
    """Bring the states of the demonstrations to -1 to 1."""
    states = torch.from_numpy(data.states)
    low, high = states.amin(0), states.amax(0)
    missing = 0.5 * (LEAST_SPAN - (high - low)).clamp(min=0.0)
    scaling.fit(low - missing, high + missing, torch.zeros_like(low, dtype=torch.bool))
