"""A chunk by two regressions of one network: the baseline that other policies must beat.

Source: Pan et al., "Much Ado About Noising: Dispelling the Myths of Generative Robotic Control"
(arXiv 2512.01809), the minimal iterative policy: the network is asked once about nothing, and once
about its own answer; in training the second question is the true actions with noise.

Shapes: B batch, H steps of a chunk, A numbers of an action, S of a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.carp_policy import ImageEncoderConfig, condition_size, encoder_of
from carp_ros.networks.relative_actions import absolute, relative
from carp_ros.networks.scaling import Scaling
from carp_ros.strict import Between

SECOND_STEP = 0.9
"""How much of the second question is the answer to the first, t* in the paper; the rest is none."""

_TASK_WIDTH = 16


@dataclass(frozen=True)
class RegressionConfig:
    """Sizes of the network.

    Attributes:
        horizon: Steps of a chunk, H.
        width: Of its layers.
        depth: Residual blocks.
        relative: Poses as seen from the measured tool, see `relative_actions`; else absolute.
    """

    horizon: Annotated[int, Between(2, 128)] = 16
    width: Annotated[int, Between(1, 100_000)] = 256
    depth: Annotated[int, Between(1, 200)] = 3
    relative: bool = True


class RegressionPolicyNetwork(nn.Module):
    """Images, state and task to a plan.

    Args:
        cameras: Their names.
        encoder: Of each camera's images.
        state_size: S.
        action_size: A.
        config: Its own sizes.
        tasks: How many an embedding tells apart; 1 has none.
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
        width, flat = config.width, config.horizon * action_size
        self.to_condition = nn.Linear(size, width)
        self.to_width = nn.Linear(flat + 1, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config.depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, flat))
        self._shape = (config.horizon, action_size)

    def fuse(self, seen: Sequence[Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return the condition (B, W) of each camera's features (B, F), states (B, S) and tasks."""
        parts = [*seen, self.state_scaling(state)]
        if self.task_embedding is not None:
            assert task is not None
            parts.append(self.task_embedding(task))
        return F.gelu(self.to_condition(torch.cat(parts, dim=1)))

    def condition(self, images: dict[str, Tensor], state: Tensor, task: Tensor | None) -> Tensor:
        """Return the condition (B, W).

        Args:
            images: By camera, RGB in [-1, 1], cropped, of shape (B, 3, h, w).
            state: Measured, in SI units, of shape (B, S).
            task: Index of each one's task, of shape (B,); None if there is but one.
        """
        return self.fuse(
            [encoder(images[name]) for name, encoder in self.image_encoders.items()], state, task
        )

    def answer(self, condition: Tensor, question: Tensor, step: float) -> Tensor:
        """Return scaled actions (B, H, A) for a condition (B, W) and a question (B, H, A).

        Args:
            condition: What was seen.
            question: Scaled actions, more or less.
            step: How far along, 0 or `SECOND_STEP`.
        """
        at = torch.full_like(question[:, :1, 0], step)
        x = self.to_width(torch.cat((question.flatten(1), at), dim=1))
        for block in self.blocks:
            x = block(x, condition)
        return self.head(x).unflatten(1, self._shape)

    def scaled_plan(self, condition: Tensor) -> Tensor:
        """Return the scaled actions (B, H, A) that are planned under a condition (B, W)."""
        nothing = condition.new_zeros(len(condition), *self._shape)
        first = self.answer(condition, nothing, 0.0)
        return self.answer(condition, SECOND_STEP * first, SECOND_STEP)

    def scaled(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return actions (B, H, A), measured in states (B, S), as the network says them."""
        seen = relative(actions, states) if self.config.relative else actions
        return self.action_scaling(seen)

    def unscaled(self, plan: Tensor, states: Tensor) -> Tensor:
        """Return actions in SI units; `scaled` undone."""
        actions = self.action_scaling.inverse(plan)
        return absolute(actions, states) if self.config.relative else actions


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(2 * width, 2 * width)
        self.outer = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        inner = self.inner(torch.cat((self.norm(x), condition), dim=1))
        return x + self.outer(F.gelu(inner))
