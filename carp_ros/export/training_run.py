"""From a training's folder to a bundle."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from carp_ros.export.bundle import Facts, write_bundle
from carp_ros.networks.carp_policy import CarpPolicyNetwork, EyesConfig
from carp_ros.training.build import load_policy
from carp_ros.training.example import read_example
from carp_ros.training.run_folder import RunFolder


def export_run(run: Path, folder: Path, made: Mapping[str, Any]) -> None:
    """Write the bundle of a training, finished or not.

    Args:
        run: Folder of `carp train policy`.
        folder: Of the bundle; what is there is replaced.
        made: What the manifest says of its making, beside what the training knows.

    Raises:
        ValueError: If the folder holds no policy that sees.
    """
    network, recipe, config = load_policy(run)
    if recipe.eyes is None:
        raise ValueError(f"{run} holds a policy of the state alone; bundles are of those that see")
    rows = RunFolder(run, config).figures()
    figures = {name: round(value, 6) for row in rows[-1:] for name, value in row.items()}
    export_network(network, recipe.eyes, run, config, folder, {**made, "last_epoch": figures})


def export_network(
    network: CarpPolicyNetwork,
    eyes: EyesConfig,
    run: Path,
    config: Mapping[str, Any],
    folder: Path,
    made: Mapping[str, Any],
) -> None:
    """Write the bundle of a network in training; it stays as it is, on its device.

    Args:
        network: With the weights to export.
        eyes: How it sees.
        run: Folder of the training, with its example.
        config: Of the training.
        folder: Of the bundle; what is there is replaced.
        made: What the manifest says of its making, beside what the training knows.
    """
    known = ("dataset", "demonstrations", "seed", "start_from", "recipe")
    facts = Facts(
        config["rig"],
        tuple(config["tasks"]),
        config["step_s"],
        **{name: tuple(numbers) for name, numbers in config["ranges"].items()},
        made={**{name: config[name] for name in known if name in config}, **made},
        config=config,
    )
    example = {name: torch.from_numpy(value) for name, value in read_example(run).items()}
    still = copy.deepcopy(network).cpu().eval()
    with torch.autocast("cpu", enabled=False):  # whoever calls may compute with fewer digits
        write_bundle(folder, still, eyes, facts, example)
