"""FASTerVQ together with the representation of actions: SI units in, SI units out.

A tool's actions are tokenized as position, rotation vector and gripper relative to the measured
tool, 7 numbers; other actions as they are. Numbers are scaled by their quantiles and clamped, as in
the paper (arXiv:2512.04952); the gripper keeps its ends.

Shapes: B batch, H horizon, D numbers of an action, S of a state, N tokens of a chunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.faster_tokenizer import FasterTokenizer, FasterTokenizerConfig
from carp_ros.networks.gripper_rule import GripperRule
from carp_ros.networks.relative_actions import absolute, relative
from carp_ros.networks.rotation_vectors import (
    matrices_from_rot6d,
    matrices_from_vectors,
    rot6d_from_matrices,
    vectors_from_matrices,
)
from carp_ros.networks.scaling import Scaling
from carp_ros.strict import Between

_BATCH = 1024  # of chunks that are coded at a time


@dataclass(frozen=True)
class FasterActionConfig:
    """How actions are represented and tokenized.

    Attributes:
        vq: The tokenizer's sizes; its groups are those of the numbers that are tokenized, the
            gripper included.
        tool: Whether actions are tool poses, tokenized relative to the measured tool.
        gripper: `vq` tokenizes it with the other numbers, `rule` by its list of sequences, in a
            column of its own.
        quantile: Of the actions, on either side, that is clamped.
    """

    vq: FasterTokenizerConfig = field(default_factory=FasterTokenizerConfig)
    tool: bool = True
    gripper: Literal["vq", "rule"] = "vq"
    quantile: Annotated[float, Between(0.0, 0.2)] = 0.01

    @property
    def columns(self) -> int:
        """Tokens of one level and time, one a number; the paper's best block size."""
        return self.vq.dimensions

    @property
    def tokens(self) -> int:
        """N."""
        return self.vq.tokens


class FasterActionTokenizer(nn.Module):
    """Turns absolute actions in SI units into tokens and back."""

    kind = "faster"

    def __init__(self, config: FasterActionConfig) -> None:
        super().__init__()
        self.config = config
        self.scaling = Scaling(config.columns)
        self.rule = None
        vq = config.vq
        if config.gripper == "rule":
            self.rule = GripperRule(vq.horizon, vq.codes)
            vq = replace(vq, groups=vq.groups[:-1])
        self.vq = FasterTokenizer(vq)

    def names(self, action: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the numbers that are tokenized, given those of an action."""
        if not self.config.tool:
            return tuple(action)
        return (*action[:3], "rotation x", "rotation y", "rotation z", action[-1])

    def fit(self, actions: Tensor, states: Tensor) -> None:
        """Fit the scaling to actions (F, H, D), given measured states (F, S)."""
        flat = self._seen(actions, states).flatten(0, 1)
        ends = torch.tensor([self.config.quantile, 1.0 - self.config.quantile])
        low, high = torch.stack([_quantiles(column, ends) for column in flat.T]).T
        low[-1], high[-1] = flat[:, -1].amin(), flat[:, -1].amax()
        self.scaling.fit_outputs(low, high, torch.zeros(len(low), dtype=torch.bool))

    def begin(self, normalised: Tensor) -> None:
        """Spread the codes over normalised actions (M, H, D), see `FasterTokenizer.begin`."""
        self.vq.begin(normalised if self.rule is None else normalised[..., :-1])

    def normalised(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return actions (B, H, D), given measured states (B, S), in [-1, 1], gripper included."""
        return self.scaling(self._seen(actions, states)).clamp(-1.0, 1.0)

    def losses(self, normalised: Tensor) -> dict[str, Tensor]:
        """Return the paper's loss and its parts; in training mode, also update the codes."""
        numbers = normalised if self.rule is None else normalised[..., :-1]
        loss = self.vq(numbers)
        return {
            "loss": loss.loss,
            "reconstruction_loss": loss.reconstruction_loss,
            "quantization_loss": loss.quantization_loss,
        }

    @torch.no_grad()
    def errors(self, normalised: Tensor) -> dict[str, float]:
        """Return errors of coded and decoded actions, and how the codes are used.

        Returns:
            `position_error_m` and `rotation_error_rad` of a tool (mean lengths), else `other_error`
            (mean); the mean normalised `error`; `share_within_0.1`: of steps whose normalised
            errors add up to less than 0.1 (the paper's VRR); `changes_kept`: share of the gripper's
            changes that are decoded no more than a step off; and of each level `codes_used` and
            `entropy`, as shares.
        """
        tokens = torch.cat([self.tokens_of(part) for part in normalised.split(_BATCH)])
        back = torch.cat([self.decode_normalised(part) for part in tokens.split(_BATCH)])
        off = (back - normalised).abs()
        lengths = (back - normalised) / self.scaling.scale
        in_units = {"other_error": lengths.abs().mean()}
        if self.config.tool:
            in_units = {
                "position_error_m": lengths[..., :3].norm(dim=-1).mean(),
                "rotation_error_rad": lengths[..., 3:6].norm(dim=-1).mean(),
            }
        shares = {
            "share_within_0.1": (off.sum(dim=-1) < 0.1).float().mean(),
            "changes_kept": _changes_kept(normalised[..., -1], back[..., -1]),
        }
        figures = {**in_units, "error": off.mean(), **shares}
        return {name: float(value) for name, value in figures.items()} | self._use(tokens)

    def _use(self, tokens: Tensor) -> dict[str, float]:
        codes = self.config.vq.codes
        by_level = tokens.unflatten(1, (-1, self.vq.config.times, self.config.columns))
        if self.rule is not None:
            by_level = by_level[..., :-1]
        figures: dict[str, float] = {}
        for level, used in enumerate(by_level.unbind(dim=1)):
            shares = torch.bincount(used.flatten(), minlength=codes) / used.numel()
            entropy = -(shares * shares.clamp(min=1e-12).log()).sum() / math.log(codes)
            figures[f"codes_used_{level}"] = float((shares > 0.0).float().mean())
            figures[f"entropy_{level}"] = float(entropy)
        return figures

    def tokenize(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, D), given measured states (B, S)."""
        return self.tokens_of(self.normalised(actions, states))

    def tokens_of(self, normalised: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of normalised actions."""
        if self.rule is None:
            return self.vq.tokenize(normalised)
        codes = self.vq.codes_of(self.vq.tokenize(normalised[..., :-1]))  # (B, T, C - 1, L)
        column = torch.zeros_like(codes[:, :, :1])
        column[:, 0, 0, 0] = self.rule.tokenize(normalised[..., -1])
        return self.vq.tokens_of(torch.cat((codes, column), dim=2))

    def decode(self, tokens: Tensor, states: Tensor) -> Tensor:
        """Return the actions, (B, H, D), of the tokens (B, n) of the first levels.

        Args:
            tokens: Of one level or more; with more levels the actions are more exact.
            states: Measured, of shape (B, S).
        """
        return self._absolute(self.scaling.inverse(self.decode_normalised(tokens)), states)

    def decode_normalised(self, tokens: Tensor) -> Tensor:
        """Return the normalised actions of the tokens (B, n) of the first levels."""
        if self.rule is None:
            return self.vq.decode(self.vq.latent_of(tokens)).clamp(-1.0, 1.0)
        grid = (self.vq.config.times, self.config.columns)
        by_level = tokens.unflatten(1, (-1, *grid))  # (B, L, T, C)
        numbers = self.vq.latent_of(by_level[..., :-1].flatten(1))
        gripper = self.rule.detokenize(by_level[:, 0, 0, -1])[..., None]
        return torch.cat((self.vq.decode(numbers).clamp(-1.0, 1.0), gripper), dim=-1)

    def _seen(self, actions: Tensor, states: Tensor) -> Tensor:
        if not self.config.tool:
            return actions
        seen = relative(actions, states)
        turns = vectors_from_matrices(matrices_from_rot6d(seen[..., 3:9]))
        return torch.cat((seen[..., :3], turns, seen[..., 9:]), dim=-1)

    def _absolute(self, numbers: Tensor, states: Tensor) -> Tensor:
        if not self.config.tool:
            return numbers
        rot6d = rot6d_from_matrices(matrices_from_vectors(numbers[..., 3:6]))
        return absolute(torch.cat((numbers[..., :3], rot6d, numbers[..., 6:]), dim=-1), states)


def _quantiles(numbers: Tensor, ends: Tensor) -> Tensor:
    """Return quantiles of one column; `torch.quantile` takes no more than 16 million numbers."""
    return torch.quantile(numbers[:: max(1, len(numbers) // 1_000_000)], ends)


def _changes_kept(true: Tensor, back: Tensor) -> Tensor:
    """Return the share of changes of sign along (B, H) that `back` has, too, a step off at most."""
    changed, found = (
        (signs[:, 1:] != signs[:, :-1]) for signs in (true.sign(), torch.where(back > 0, 1, -1))
    )
    near = F.max_pool1d(found.float()[:, None], 3, stride=1, padding=1)[:, 0] > 0.0
    return (near & changed).sum() / changed.sum().clamp(min=1)
