"""`carp train tokenizer`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from carp_ros.cli.train_dataset import open_dataset
from carp_ros.cli.train_progress import TrainProgress
from carp_ros.training.action_range import constant_dimensions
from carp_ros.training.curves import draw_curves
from carp_ros.training.loop import train
from carp_ros.training.policy_config import checked
from carp_ros.training.ranks import rank, rank_0_first, ranks
from carp_ros.training.run_folder import CURVES, RunFolder
from carp_ros.training.tokenizer import TokenizerTrainee
from carp_ros.training.tokenizer_kinds import tokenizer_kind_named
from carp_ros.training.windows import read_windows, split_episodes

if TYPE_CHECKING:
    from carp_ros.cli.train import TokenizerCommand
    from carp_ros.training.tokenizer_kind import TokenizerKind

_HELD_OUT = 0.02
_FITTED = ("fast", "binning")


def run(command: TokenizerCommand) -> int:
    """Train; return 0."""
    kind = tokenizer_kind_named(command.kind, "carp train tokenizer")
    recipe = checked(recipe_of(command, kind), "carp train tokenizer")
    dataset = open_dataset(command.dataset, command.learn, with_images=False)
    data = read_windows(dataset, recipe.network.horizon)
    trained, held_out = split_episodes(data, _HELD_OUT, 0, command.seed)
    network = kind.make(recipe, data, command.seed)
    made = dataclasses.replace(recipe, network=network.config)  # fitted to the dataset's layouts
    config = {"kind": "tokenizer", "dataset": str(command.dataset), **dataclasses.asdict(made)}
    if kind.kind != "carp":  # whose folders do not say so
        config["tokenizer_kind"] = kind.kind
    with ranks():
        with rank_0_first():
            folder = RunFolder(command.out, config)
        trainee = TokenizerTrainee(network, data, trained, held_out, recipe.noise)
        train(trainee, recipe.loop, folder, TrainProgress(quiet=rank() > 0).show)
        if rank() == 0:
            draw_curves(folder.figures(), command.out / CURVES)
            if still := constant_dimensions(network, data):
                print(f"constant in the dataset, so always predicted as such: {', '.join(still)}")
            print(f"tokenizer: {command.out}")
    return 0


def recipe_of(command: TokenizerCommand, kind: TokenizerKind) -> Any:
    """Return the preset's recipe with the command's overrides.

    Raises:
        ValueError: If this kind of tokenizer has no such preset or option.
    """
    if command.preset not in kind.presets:
        raise ValueError(
            f"--preset is {command.preset}; expected one of {kind.kind}: {', '.join(kind.presets)}"
        )
    recipe = kind.presets[command.preset]
    network = _network_of(command, kind.kind, recipe.network)
    if command.epochs and kind.kind in _FITTED:
        raise ValueError(
            f"--epochs is {command.epochs}; leave it out: --kind {kind.kind} is fitted, not trained"
        )
    changes: dict[str, Any] = {"epochs": command.epochs} if command.epochs else {}
    loop = dataclasses.replace(recipe.loop, seed=command.seed, **changes)
    return dataclasses.replace(recipe, network=network, loop=loop)


def _network_of(command: TokenizerCommand, kind: str, network: Any) -> Any:
    """Return the network's configuration with the command's overrides."""
    changed: dict[str, Any] = {}
    if command.lookup != "preset":
        changed["cosine"] = command.lookup == "cosine"
    if command.scales:
        changed["scales"] = command.scales
    if changed and kind != "carp":
        raise ValueError(
            f"--scales and --lookup are options of --kind carp; leave them out with {kind}"
        )
    if command.most_tokens and kind != "fast":
        raise ValueError(f"--most-tokens is an option of --kind fast; leave it out with {kind}")
    if kind == "carp":
        return dataclasses.replace(network, vq=dataclasses.replace(network.vq, **changed))
    if kind == "fast":
        return dataclasses.replace(network, most_tokens=command.most_tokens)
    return network
