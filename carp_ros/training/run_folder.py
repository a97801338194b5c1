"""What a training leaves on disk: its configuration, its state, its figures. Any kill is survived.

config.json        what was asked for
state.pt           weights, average, optimiser and step: training goes on from here
weights.safetensors  the weights to use: averaged, unless asked otherwise
metrics.jsonl      one JSON object a line: step, epoch, and figures by name
curves.png         the same, drawn
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from carp_ros.training.bundled_network import NETWORK, read_network
from carp_ros.whole_file import whole_file

CONFIG, STATE, WEIGHTS = "config.json", "state.pt", "weights.safetensors"
METRICS, CURVES = "metrics.jsonl", "curves.png"


class RunFolder:
    """A training's folder.

    Args:
        path: Of the folder; made if it is not there.
        config: What was asked for, as JSON can hold it.

    Raises:
        ValueError: If the folder holds a training of another configuration.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config, indent=2)
        file = path / CONFIG
        if file.is_file() and json.loads(file.read_text()) != json.loads(text):
            changed = _difference(json.loads(file.read_text()), json.loads(text))
            raise ValueError(
                f"{path} holds a training with {changed}; expected the same: name another folder"
                " with --out, or remove this one"
            )
        if not file.is_file():
            with whole_file(file) as draft:
                draft.write_text(text + "\n")

    def save(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Write the state to go on from, and the weights to use."""
        whole = {name: value.detach().contiguous().clone() for name, value in weights.items()}
        with whole_file(self.path / WEIGHTS) as draft:
            save_file(whole, draft)
        with whole_file(self.path / STATE) as draft:
            torch.save(dict(state), draft)

    def load(self) -> dict[str, Any] | None:
        """Return the state of an earlier run, if there is one."""
        file = self.path / STATE
        if not file.is_file():
            return None
        return torch.load(file, map_location="cpu", weights_only=True)

    def log(self, figures: Mapping[str, float]) -> None:
        """Add a line of figures."""
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(dict(figures)) + "\n")

    def figures(self) -> list[dict[str, float]]:
        """Return all lines of figures; of a step that was done twice, the later."""
        file = self.path / METRICS
        lines = file.read_text().splitlines() if file.is_file() else []
        rows = {(row["step"], frozenset(row)): row for row in map(json.loads, lines)}
        return sorted(rows.values(), key=lambda row: row["step"])


def read_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return configuration and weights of a finished or running training, or of a bundle.

    Raises:
        ValueError: If the folder holds none.
    """
    if (path / NETWORK).is_file():
        return read_network(path)
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise ValueError(
                f"no {path / name}; expected a folder of `carp train`, or a bundle with a {NETWORK}"
            )
    return json.loads((path / CONFIG).read_text()), load_file(path / WEIGHTS)


def _difference(before: Any, now: Any, where: str = "") -> str:
    """Return the first key in which two configurations differ, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *now]:
            if before.get(key) != now.get(key):
                return _difference(before.get(key), now.get(key), f"{where}.{key}".lstrip("."))
    return f"{where} = {before!r}, asked for is {now!r}"
