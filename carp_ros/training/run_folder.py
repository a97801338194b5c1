"""A training's folder: configuration, state and metrics. It survives a kill at any time.

config.json        the training's configuration
state.pt           weights, average, optimiser and step, to resume from
weights.safetensors  the weights to use: averaged, unless configured otherwise
metrics.jsonl      one JSON object per line: step, epoch and metrics by name
curves.png         plots of the metrics
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from carp_ros.files.given_file import given_bytes
from carp_ros.files.plain_json import load_json
from carp_ros.files.whole_file import whole_file
from carp_ros.refusal import refusing
from carp_ros.training.bundled_network import NETWORK, read_network
from carp_ros.training.checkpoint_file import (
    read_safetensors,
    read_torch,
    write_safetensors,
)
from carp_ros.training.earlier_runs import present_config, present_weights

CONFIG, STATE, WEIGHTS = "config.json", "state.pt", "weights.safetensors"
METRICS, CURVES = "metrics.jsonl", "curves.png"

_MOST_METRICS_BYTES = 64_000_000  # a hundred thousand epochs


class RunFolder:
    """A training's folder.

    Args:
        path: Of the folder; created if missing.
        config: The training's configuration, as JSON values.

    Raises:
        ValueError: If the folder holds a training with another configuration.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path = path
        with refusing(ValueError, str(path)):
            path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config, indent=2)
        file = path / CONFIG
        if not file.exists():
            with refusing(ValueError, str(path)), whole_file(file) as draft:
                draft.write_text(text + "\n", encoding="utf-8")
        elif (before := load_json(file)) != (now := json.loads(text)):
            raise ValueError(
                f"{path} holds a training with {_difference(before, now)}; expected the same: name"
                " another folder with --out, or remove this one"
            )

    def save(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Write the state to resume from, and the weights to use."""
        with whole_file(self.path / WEIGHTS) as draft:
            write_safetensors(weights, draft)
        with whole_file(self.path / STATE) as draft:
            torch.save(dict(state), draft)

    def load(self) -> dict[str, Any] | None:
        """Return the state of an earlier run, if there is one.

        Raises:
            ValueError: If the file was changed or cut off.
        """
        file = self.path / STATE
        return read_torch(file) if file.exists() else None

    def log(self, figures: Mapping[str, float]) -> None:
        """Append a line of metrics, without those that are not finite, which JSON can't hold."""
        numbers = {name: value for name, value in figures.items() if math.isfinite(value)}
        with (self.path / METRICS).open("a+b") as file:
            if file.tell():  # start a new line if a kill truncated the last one
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(numbers, allow_nan=False).encode() + b"\n")

    def figures(self) -> list[dict[str, float]]:
        """Return all lines of metrics; if a step was run twice, only the later.

        Truncated or invalid lines are skipped.

        Raises:
            ValueError: If the file can't be read.
        """
        file = self.path / METRICS
        if not file.exists():
            return []
        content = given_bytes(file, _MOST_METRICS_BYTES).decode(errors="replace")
        found = [row for row in map(_figures, content.splitlines()) if row]
        rows = {(row["step"], frozenset(row)): row for row in found}
        return sorted(rows.values(), key=lambda row: row["step"])


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and weights of a training, finished or not, or of a bundle.

    Raises:
        ValueError: If the folder holds neither, or one of its files can't be read.
    """
    if (path / NETWORK).exists():
        return read_network(path)
    for name in (CONFIG, WEIGHTS):
        if not (path / name).exists():
            raise ValueError(
                f"no {path / name}; expected a folder of `carp train`, or a bundle with a {NETWORK}"
            )
    weights = read_safetensors(path / WEIGHTS)
    return present_config(load_json(path / CONFIG)), present_weights(weights)


def _figures(line: str) -> dict[str, float] | None:
    """Return the metrics of an epoch in a line, or None if it is invalid."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not {"step", "epoch", "loss"} <= row.keys():
        return None
    is_sound = all(type(value) in (int, float) and math.isfinite(value) for value in row.values())
    return row if is_sound else None


def _difference(before: Any, now: Any, where: str = "") -> str:
    """Return the first key in which two configurations differ, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *now]:
            if before.get(key) != now.get(key):
                return _difference(before.get(key), now.get(key), f"{where}.{key}".lstrip("."))
    return f"{where} = {before!r}, asked for is {now!r}"
