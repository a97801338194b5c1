"""Checks that a tokenizer can represent a dataset's actions."""

from __future__ import annotations

import numpy as np
import torch

from carp_ros.networks.scaling import LEAST_RANGE
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.windows import Windows

_MOST = 10.0  # in the tokenizer's scaling, which maps its training range to [-1, 1]


def constant_dimensions(network: TokenizerNetwork, data: Windows) -> list[str]:
    """Return the names of the numbers that never changed in the tokenizer's training."""
    still = _is_still(network).tolist()
    names = network.names(data.action.names)
    return [name for name, is_still in zip(names, still, strict=True) if is_still]


def require_range(network: TokenizerNetwork, data: Windows) -> None:
    """Raise if actions move a dimension that never changed when the tokenizer was trained.

    Raises:
        ValueError: If there is such an action; names the dimension.
    """
    with torch.no_grad():
        states = torch.from_numpy(data.states)
        said = network.normalised(torch.from_numpy(data.actions), states).abs().amax((0, 1))
    beyond = (_is_still(network) & (said > _MOST)).tolist()
    for number in np.flatnonzero(beyond).tolist():
        low, high = data.actions[..., number].min(), data.actions[..., number].max()
        raise ValueError(
            f"{data.action.names[number]} of the actions is {low:.4g} to {high:.4g}, but never"
            " changed in the demonstrations that the tokenizer was trained on; expected a tokenizer"
            " that can represent it: train one on this dataset (carp train tokenizer)"
        )


def _is_still(network: TokenizerNetwork) -> torch.Tensor:
    return network.scaling.scale.cpu() > 1.9 / LEAST_RANGE
