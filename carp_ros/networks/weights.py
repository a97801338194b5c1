"""Loads weights from a file into a network, checking every name, shape and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

_NAMED = 3  # how many wrong weights an error names
_MOST = 1e6
"""Far above any trained weight or average, far below a number with a flipped exponent bit."""


def network_with(make: Callable[[], Network], weights: Mapping[str, Tensor], where: str) -> Network:
    """Return a network with the weights of a file.

    Args:
        make: Returns the network of the file, with any weights. It is first made on the meta
            device, so that a mismatch is found before memory is allocated.
        weights: By name.
        where: Name of the file in errors.

    Raises:
        ValueError: If a weight is missing, unknown, or of the wrong shape or type, or if a number
            is not finite or exceeds a million.
    """
    with torch.device("meta"):
        require_weights(make().state_dict(), weights, where)
    network = make()
    network.load_state_dict(weights)
    return network


def require_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], where: str) -> None:
    """Raise unless weights have the names, shapes and types of a network's own.

    Args:
        own: The network's weights; only names, shapes and types matter.
        weights: Those of the file.
        where: Name of the file in errors.

    Raises:
        ValueError: As in `network_with`.
    """
    missing, unknown = own.keys() - weights.keys(), weights.keys() - own.keys()
    for names, what in ((missing, "lacks"), (unknown, "has")):
        if names:
            raise ValueError(
                f"{where} {what} {_listed(names)}; expected the {len(own)} weights of the network"
                " that its configuration describes"
            )
    for name, wanted in own.items():
        found = weights[name]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"{where}: {name} is {_described(found)}; expected {_described(wanted)}, as its"
                " configuration has it"
            )
        if not found.isfinite().all():
            raise ValueError(
                f"{where}: {name} has {int((~found.isfinite()).sum())} of {found.numel()} numbers"
                " that are not finite; expected a whole file: copy it again, or train again"
            )
        if found.is_floating_point() and found.numel() and (most := found.abs().max()) > _MOST:
            raise ValueError(
                f"{where}: {name} has a number as large as {float(most):.3g}; expected"
                f" {_MOST:.0e} at most, as trained weights have: copy it again, or train again"
            )


def _listed(names: set[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
