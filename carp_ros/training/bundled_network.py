"""The network in a bundle as training takes it: its configuration, and which weight is which.

A bundle's graphs have forgotten both. `network.json` says where in `weights.bin` each weight of the
network lies, most of them where a graph has it, too: who has the bundle can train on from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

NETWORK = "network.json"


@dataclass(frozen=True)
class Place:
    """Where in `weights.bin` an array of float32 lies.

    Attributes:
        offset: Of its first byte.
        shape: Of the array.
        transposed: Whether its transpose lies there.
    """

    offset: int
    shape: tuple[int, ...]
    transposed: bool = False


def write_network(folder: Path, config: Mapping[str, Any], places: Mapping[str, Place]) -> None:
    """Write `network.json`.

    Args:
        folder: Of the bundle.
        config: Of the training.
        places: Of the network's weights, by name.
    """
    content = {"config": config, "weights": {name: asdict(p) for name, p in places.items()}}
    (folder / NETWORK).write_text(json.dumps(content) + "\n")


def read_network(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and weights of the training that a bundle is of.

    Raises:
        ValueError: If the bundle is not whole.
    """
    from carp_ros.inference.bundle import load_bundle  # needs YAML, and other trainings do not

    manifest = load_bundle(folder, to_run=False).manifest
    content = json.loads((folder / NETWORK).read_text())
    pool = (folder / manifest.weights.file).read_bytes()
    places = {name: Place(**place) for name, place in content["weights"].items()}
    return content["config"], {name: _tensor(pool, place) for name, place in places.items()}


def _tensor(pool: bytes, place: Place) -> Tensor:
    lying = place.shape[::-1] if place.transposed else place.shape
    count = int(np.prod(lying))
    array = np.frombuffer(pool, np.float32, count, place.offset).reshape(lying)
    return torch.from_numpy((array.T if place.transposed else array).copy())
