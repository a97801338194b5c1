"""Example inputs for networks that are told what an arm is committed to."""

from __future__ import annotations

import torch
from torch import Tensor


def nothing_committed(state: Tensor, steps: int, size: int) -> dict[str, Tensor]:
    """Return the inputs of a plan that begins at rest.

    Args:
        state: Measured, (1, S); actions that keep an arm there are valid ones.
        steps: P, committed steps at most.
        size: A, numbers of an action.
    """
    actions = torch.zeros(1, steps, size, device=state.device)
    known = min(size, state.shape[1])
    actions[..., :known] = state[:, None, :known]
    return {
        "committed": actions,
        "committed_count": torch.zeros(1, dtype=torch.int64, device=state.device),
    }
