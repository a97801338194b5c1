"""The trainable network inside a bundle: its configuration and the places of its weights.

A bundle's graphs contain neither. `network.json` says where in `weights.bin` each weight of the
network is stored, mostly shared with the graphs, so that training can continue from a bundle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from carp_ros.files.plain_json import load_json
from carp_ros.refusal import refusing
from carp_ros.strict import Between, Sized, read_strictly
from carp_ros.training.earlier_runs import present_config, present_weights

NETWORK = "network.json"

_MOST_BYTES = 10_000_000
_MOST = 2**40


@dataclass(frozen=True)
class Place:
    """Location of a float32 array in `weights.bin`.

    Attributes:
        offset: Of its first byte.
        shape: Of the array.
        transposed: Whether its transpose is stored.
    """

    offset: Annotated[int, Between(0, _MOST)]
    shape: Annotated[tuple[int, ...], Sized(0, 8), Between(1, _MOST)]
    transposed: bool = False


def write_network(folder: Path, config: Mapping[str, Any], places: Mapping[str, Place]) -> None:
    """Write `network.json`.

    Args:
        folder: Of the bundle.
        config: Of the training.
        places: Of the network's weights, by name.
    """
    content = {"config": config, "weights": {name: asdict(p) for name, p in places.items()}}
    (folder / NETWORK).write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_network(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the training configuration and weights that a bundle contains.

    Raises:
        ValueError: If the bundle is incomplete or damaged.
    """
    from carp_ros.inference.bundle import load_bundle  # needs YAML, which other trainings don't

    manifest = load_bundle(folder, to_run=False).manifest
    path = folder / NETWORK
    content = read_strictly(_Content, load_json(path, _MOST_BYTES), str(path))
    file = folder / manifest.weights.file
    with refusing(ValueError, str(file)):
        pool = bytearray(file.read_bytes())
    weights = {}
    for name, place in content.weights.items():
        with refusing(ValueError, f"{path}: weights.{name}"):
            weights[name] = _tensor(pool, place)
    return present_config(content.config), present_weights(weights)


@dataclass(frozen=True)
class _Content:
    """Content of `network.json`."""

    config: dict[str, Any]
    weights: dict[str, Place]


def _tensor(pool: bytearray, place: Place) -> Tensor:
    """Return a view of an array in the pool: entries that share a place take no extra memory."""
    lying = place.shape[::-1] if place.transposed else place.shape
    tensor = torch.frombuffer(
        pool, dtype=torch.float32, count=math.prod(lying), offset=place.offset
    ).reshape(lying)
    return tensor.T if place.transposed else tensor
