"""Exports a training's folder, or an existing bundle, to a bundle."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from carp_ros.export.bundle import BundleMetadata, require_replaceable, write_bundle
from carp_ros.inference.bundle import MANIFEST, WeightPrecision, load_bundle
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.training.build import load_network
from carp_ros.training.example import GraphInputs, read_example
from carp_ros.training.families import family_named
from carp_ros.training.policy_config import PolicyConfig, read_policy_config
from carp_ros.training.run_folder import RunFolder


def export_run(
    run: Path, folder: Path, made: Mapping[str, Any], precision: WeightPrecision = "float32"
) -> None:
    """Write the bundle of a training, finished or not, or rewrite a bundle.

    Args:
        run: Folder of `carp train policy`, or of a bundle that contains its network.
        folder: Of the bundle; an existing one is replaced.
        made: Provenance for the manifest, in addition to the training's.
        precision: Of the graphs.

    Raises:
        ValueError: If the folder holds no policy, or the bundle can't be written.
    """
    _require_outside(run, folder)
    require_replaceable(folder.resolve())
    network, known, config = load_network(run)
    recipe = family_named(known.policy, str(run)).recipe(known.recipe, f"{run}: recipe")
    if (run / MANIFEST).is_file():
        bundle = load_bundle(run, to_run=False)
        golden = bundle.golden()
        example = {name: golden[name] for name in bundle.input_names}
        made = {**bundle.manifest.made, "exported_anew": dict(made)}
    else:
        example = read_example(run)
        rows = RunFolder(run, config).figures()
        figures = {name: round(value, 6) for row in rows[-1:] for name, value in row.items()}
        made = {**made, "last_epoch": figures}
    _require_example(example, recipe.image_encoder, known, str(run))
    encoder = recipe.image_encoder or ImageEncoderConfig()
    export_network(network, encoder, example, config, folder, made, precision)


def _require_outside(run: Path, folder: Path) -> None:
    """Raise if the bundle would be written inside the bundle that it is made from."""
    if (run / MANIFEST).is_file() and run.resolve() in folder.resolve().parents:
        raise ValueError(f"{folder} is inside {run}; expected the bundle itself, or another place")


def _require_example(
    example: GraphInputs, encoder: ImageEncoderConfig | None, config: PolicyConfig, where: str
) -> None:
    """Raise unless an example has the inputs that the network takes."""
    tasks = len(config.tasks)
    expected: dict[str, tuple[str, tuple[int, ...]]] = {}
    if encoder is not None:
        size = (1, encoder.image_px[1], encoder.image_px[0], 3)
        expected = {f"image_{camera}": ("uint8", size) for camera in config.cameras}
    expected["state"] = ("float32", (1, len(config.state)))
    if tasks > 1:
        expected["task"] = ("int64", (1,))
    found = {name: (str(value.dtype), value.shape) for name, value in example.items()}
    if found != expected:
        raise ValueError(f"{where}: the example is {found}; expected {expected}: train again")
    if not np.isfinite(example["state"]).all():
        raise ValueError(
            f"{where}: the example's state is {example['state'].tolist()}; train again"
        )
    if tasks > 1 and not 0 <= int(example["task"][0]) < tasks:
        raise ValueError(
            f"{where}: the example's task is {example['task']}; expected 0 to {tasks - 1}"
        )


def export_network(
    network: nn.Module,
    encoder: ImageEncoderConfig,
    example: GraphInputs,
    config: Mapping[str, Any],
    folder: Path,
    made: Mapping[str, Any],
    precision: WeightPrecision = "float32",
) -> None:
    """Write the bundle of a network that is in training; the network itself is not changed.

    Args:
        network: With the weights to export.
        encoder: Image encoder of each camera.
        example: Encoder inputs of a real observation, for the golden case.
        config: Of the training.
        folder: Of the bundle; an existing one is replaced.
        made: Provenance for the manifest, in addition to the training's.
        precision: Of the graphs.
    """
    known = ("dataset", "demonstrations", "seed", "start_from", "recipe")
    config = json.loads(json.dumps(dict(config)))  # as its folder has it
    known_config = read_policy_config(config, "the training")
    facts = BundleMetadata(
        known_config.policy,
        known_config.rig,
        known_config.tasks,
        known_config.step_s,
        dataclasses.asdict(known_config.observation),
        known_config.dataset_px,
        known_config.state,
        known_config.action,
        made={**{name: config[name] for name in known if name in config}, **made},
        config=config,
    )
    inputs = {name: torch.from_numpy(value) for name, value in example.items()}
    still = copy.deepcopy(network).cpu().eval()
    with torch.autocast("cpu", enabled=False):  # the caller may be in a lower-precision context
        write_bundle(folder, still, encoder, facts, inputs, precision)
