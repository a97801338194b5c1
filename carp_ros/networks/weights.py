"""Weights from a file into a network, if each is one of its own: of its name, shape and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

_NAMED = 3  # of many that are wrong
_MOST = 1e6
"""No trained weight or average comes near; a few bits that flipped in an exponent go far beyond."""


def network_with(make: Callable[[], Network], weights: Mapping[str, Tensor], where: str) -> Network:
    """Return a network with the weights of a file.

    Args:
        make: Returns the network that the file is of, with whatever weights. It is made without
            memory first: sizes that the weights are not of cost nothing.
        weights: By name.
        where: Names the file in what is raised.

    Raises:
        ValueError: If a weight is missing, unknown, or of another shape or type, or if a number is
            not finite or beyond a million.
    """
    with torch.device("meta"):
        require_weights(make().state_dict(), weights, where)
    network = make()
    network.load_state_dict(weights)
    return network


def require_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are not those of a network.

    Args:
        own: Those of the network, of which only names, shapes and types matter.
        weights: Of a file.
        where: Names the file in what is raised.

    Raises:
        ValueError: As of `network_with`.
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
                " that are not finite; expected a whole file: copy it again, or train anew"
            )
        if found.is_floating_point() and found.numel() and (most := found.abs().max()) > _MOST:
            raise ValueError(
                f"{where}: {name} has a number as large as {float(most):.3g}; expected"
                f" {_MOST:.0e} at most, as trained weights have: copy the file again, or train anew"
            )


def _listed(names: set[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
