"""The numbers that stand for actions where they are tokenized: SI units in, [-1, 1] out, and back.

A tool's actions are position, rotation vector and gripper relative to the measured tool, 7 numbers;
other actions are as they are. Numbers are scaled by their quantiles and clamped, as in FAST
(arXiv:2501.09747) and FASTer (arXiv:2512.04952); the last one, the gripper, keeps its ends.

Shapes: B batch, H horizon, A numbers of an action, S of a state, D numbers that are tokenized.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.relative_actions import absolute, relative
from carp_ros.networks.rotation_vectors import (
    matrices_from_rot6d,
    matrices_from_vectors,
    rot6d_from_matrices,
    vectors_from_matrices,
)
from carp_ros.networks.scaling import Scaling

TOOL_NUMBERS = 7
"""D of a tool: position [m], rotation vector [rad], gripper."""


class ActionNumbers(nn.Module):
    """Maps absolute actions in SI units to numbers and back; its scaling is saved with it.

    Args:
        size: D.
        tool: Whether actions are tool poses, then relative to the measured tool.
        quantile: Of the actions, on either side, that is clamped.
    """

    def __init__(self, size: int, tool: bool, quantile: float) -> None:
        super().__init__()
        if tool and size != TOOL_NUMBERS:
            raise ValueError(
                f"a tool's actions have {size} numbers; expected {TOOL_NUMBERS}: position, rotation"
                " vector, gripper"
            )
        self._tool, self._quantile = tool, quantile
        self.scaling = Scaling(size)

    def names(self, action: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the D numbers, given those of an action."""
        if not self._tool:
            return tuple(action)
        return (*action[:3], "rotation x", "rotation y", "rotation z", action[-1])

    def fit(self, actions: Tensor, states: Tensor) -> None:
        """Fit the scaling to actions (F, H, A), given measured states (F, S)."""
        flat = self._seen(actions, states).flatten(0, 1)
        ends = torch.tensor([self._quantile, 1.0 - self._quantile])
        low, high = torch.stack([_quantiles(column, ends) for column in flat.T]).T
        low[-1], high[-1] = flat[:, -1].amin(), flat[:, -1].amax()
        self.scaling.fit_outputs(low, high, torch.zeros(len(low), dtype=torch.bool))

    def normalised(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return actions (B, H, A), given measured states (B, S), as (B, H, D) in [-1, 1]."""
        return self.scaling(self._seen(actions, states)).clamp(-1.0, 1.0)

    def actions(self, normalised: Tensor, states: Tensor) -> Tensor:
        """Return the actions (B, H, A) of (B, H, D): `normalised` undone, but for its clamping."""
        numbers = self.scaling.inverse(normalised)
        if not self._tool:
            return numbers
        rot6d = rot6d_from_matrices(matrices_from_vectors(numbers[..., 3:6]))
        return absolute(torch.cat((numbers[..., :3], rot6d, numbers[..., 6:]), dim=-1), states)

    def mean_errors(self, difference: Tensor) -> dict[str, Tensor]:
        """Return mean errors in units, of a difference (B, H, D) between normalised actions.

        Returns:
            `position_error_m` and `rotation_error_rad` of a tool (lengths), else `other_error`.
        """
        in_units = difference / self.scaling.scale
        if not self._tool:
            return {"other_error": in_units.abs().mean()}
        return {
            "position_error_m": in_units[..., :3].norm(dim=-1).mean(),
            "rotation_error_rad": in_units[..., 3:6].norm(dim=-1).mean(),
        }

    def _seen(self, actions: Tensor, states: Tensor) -> Tensor:
        if not self._tool:
            return actions
        seen = relative(actions, states)
        turns = vectors_from_matrices(matrices_from_rot6d(seen[..., 3:9]))
        return torch.cat((seen[..., :3], turns, seen[..., 9:]), dim=-1)


def changes_kept(true: Tensor, back: Tensor) -> Tensor:
    """Return the share of changes of sign along (B, H) that `back` has, too, a step off at most."""
    changed, found = (
        (signs[:, 1:] != signs[:, :-1]) for signs in (true.sign(), torch.where(back > 0, 1, -1))
    )
    near = F.max_pool1d(found.float()[:, None], 3, stride=1, padding=1)[:, 0] > 0.0
    return (near & changed).sum() / changed.sum().clamp(min=1)


def _quantiles(numbers: Tensor, ends: Tensor) -> Tensor:
    """Return quantiles of one column; `torch.quantile` takes no more than 16 million numbers."""
    return torch.quantile(numbers[:: max(1, len(numbers) // 1_000_000)], ends)
