"""Restores the state of an interrupted training, after checking that it fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from carp_ros.networks.weights import require_weights
from carp_ros.refusal import refusing
from carp_ros.training.ema import Ema


def restore(
    state: Mapping[str, Any],
    where: str,
    network: nn.Module,
    average: Ema,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    epochs: int,
) -> int:
    """Restore network, average, optimiser and scaler; return the number of finished epochs.

    Args:
        state: The saved state.
        where: Name of the file in errors.
        network: The network being trained.
        average: Of its weights.
        optimizer: Of its weights.
        scaler: Of gradients.
        epochs: Of the whole training.

    Raises:
        ValueError: If any of it does not belong to this training.
    """
    with refusing(ValueError, f"{where} can't be resumed from; start again in another folder"):
        done = state["epoch"]
        if type(done) is not int or not 0 <= done <= epochs:
            raise ValueError(f"epoch is {done!r}; expected 0 to {epochs}")
        require_weights(network.state_dict(), state["network"], "network")
        require_weights(average.average, state["average"], "average")
        _require_moments(optimizer, state["optimizer"])
        network.load_state_dict(state["network"])
        average.load(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        scaler.load_state_dict(state["scaler"])
    return done


def _require_moments(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Raise if moments don't fit the optimiser's weights, which torch would only notice later."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    if numbers != list(range(len(weights))):
        raise ValueError(f"the optimiser is of {len(numbers)} weights; expected {len(weights)}")
    for number, moments in state["state"].items():
        weight = weights[number]
        for name in ("exp_avg", "exp_avg_sq"):
            if moments[name].shape != weight.shape or not moments[name].isfinite().all():
                raise ValueError(
                    f"{name} of weight {number} has shape {tuple(moments[name].shape)} or numbers"
                    f" that are not finite; expected shape {tuple(weight.shape)}"
                )
