"""Two-pass regression of a chunk: the baseline that other policies must beat.

Source: Pan et al., "Much Ado About Noising: Dispelling the Myths of Generative Robotic Control"
(arXiv 2512.01809), the minimal iterative policy: the first pass gets zeros, the second pass gets
the scaled result of the first. In training, the second pass gets the true actions plus noise.

Both passes go through plain layers: residual blocks with normalisation fit demonstrations as well,
but succeed less often (bench/kinds/README.md).

Shapes: B batch, H steps of a chunk, A numbers of an action, S of a state, C of the condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_policy import ImageEncoderConfig, condition_size, encoder_of
from carp_ros.networks.relative_actions import absolute, relative
from carp_ros.networks.scaling import Scaling
from carp_ros.strict import Between

SECOND_STEP = 0.9
"""Weight of the first result in the second pass's input, t* in the paper."""

_TASK_WIDTH = 16


@dataclass(frozen=True)
class RegressionConfig:
    """Sizes of the network.

    Attributes:
        horizon: Steps of a chunk, H.
        width: Of the hidden layers.
        depth: Number of hidden layers.
        relative: Express poses relative to the measured tool, see `relative_actions`.
    """

    horizon: Annotated[int, Between(2, 128)] = 16
    width: Annotated[int, Between(1, 100_000)] = 512
    depth: Annotated[int, Between(1, 200)] = 3
    relative: bool = True


class RegressionPolicyNetwork(nn.Module):
    """Maps images, state and task to a plan.

    Args:
        cameras: Their names.
        encoder: Image encoder of each camera.
        state_size: S.
        action_size: A.
        config: Sizes of the network.
        tasks: Number of tasks; with more than 1 there is a task embedding.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        encoder: ImageEncoderConfig,
        state_size: int,
        action_size: int,
        config: RegressionConfig,
        tasks: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.image_encoders = nn.ModuleDict({name: encoder_of(encoder) for name in cameras})
        self.state_scaling, self.action_scaling = Scaling(state_size), Scaling(action_size)
        self.task_embedding = nn.Embedding(tasks, _TASK_WIDTH) if tasks > 1 else None
        size = condition_size(cameras, encoder, state_size) + (_TASK_WIDTH if tasks > 1 else 0)
        flat = config.horizon * action_size
        widths = (size + flat + 1, *(config.width for _ in range(config.depth)))
        layers = [nn.Sequential(nn.Linear(a, b), nn.GELU()) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.width, flat))
        self._shape = (config.horizon, action_size)

    def fuse(self, features: Sequence[Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return the condition (B, C) from image features (B, F), states (B, S) and tasks."""
        parts = [*features, self.state_scaling(state)]
        if self.task_embedding is not None:
            assert task is not None
            parts.append(self.task_embedding(task))
        return torch.cat(parts, dim=1)

    def condition(self, images: dict[str, Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return the condition (B, C).

        Args:
            images: By camera, RGB in [-1, 1], cropped, of shape (B, 3, h, w).
            state: Measured, in SI units, of shape (B, S).
            task: Task index of each sample, of shape (B,); None if there is only one task.
        """
        return self.fuse(
            [encoder(images[name]) for name, encoder in self.image_encoders.items()], state, task
        )

    def predict(self, condition: Tensor, approximate: Tensor, step: float) -> Tensor:
        """Run one pass: return scaled actions (B, H, A).

        Args:
            condition: Of shape (B, C).
            approximate: Zeros or approximate scaled actions, of shape (B, H, A).
            step: 0 for the first pass, `SECOND_STEP` for the second.
        """
        at = torch.full_like(approximate[:, :1, 0], step)
        inputs = torch.cat((condition, approximate.flatten(1), at), dim=1)
        return self.layers(inputs).unflatten(1, self._shape)

    def scaled_plan(self, condition: Tensor) -> Tensor:
        """Return the planned scaled actions (B, H, A) for a condition (B, C)."""
        nothing = condition.new_zeros(len(condition), *self._shape)
        first = self.predict(condition, nothing, 0.0)
        return self.predict(condition, SECOND_STEP * first, SECOND_STEP)

    def scaled(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return actions (B, H, A) in the network's scaling, given measured states (B, S)."""
        seen = relative(actions, states) if self.config.relative else actions
        return self.action_scaling(seen)

    def unscaled(self, plan: Tensor, states: Tensor) -> Tensor:
        """Return actions in SI units; the inverse of `scaled`."""
        actions = self.action_scaling.inverse(plan)
        return absolute(actions, states) if self.config.relative else actions
