"""The state of a training as it is kept between two runs, taken up again if it is of this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from carp_ros.networks.weights import require_weights
from carp_ros.refusal import refusing
from carp_ros.training.ema import Ema


def take_up(
    state: Mapping[str, Any],
    where: str,
    network: nn.Module,
    average: Ema,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    epochs: int,
) -> int:
    """Give network, average, optimiser and scaler what an earlier run left; return its epochs.

    Args:
        state: What it left.
        where: Names the file in what is raised.
        network: That is trained.
        average: Of its weights.
        optimizer: Of its weights.
        scaler: Of gradients.
        epochs: Of the whole course.

    Raises:
        ValueError: If any of it is not of this training.
    """
    with refusing(ValueError, f"{where} can't be gone on from; begin anew in another folder"):
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
    """Refuse moments that are not of the optimiser's weights, which torch would find out later."""
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
