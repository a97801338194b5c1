"""`carp train tokenizer`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from carp_ros.cli.train_dataset import open_dataset
from carp_ros.cli.train_progress import TrainProgress
from carp_ros.training.action_range import constant_dimensions
from carp_ros.training.build import make_tokenizer
from carp_ros.training.curves import draw_curves
from carp_ros.training.loop import train
from carp_ros.training.policy_config import checked
from carp_ros.training.presets import TOKENIZERS, TokenizerRecipe
from carp_ros.training.ranks import rank, rank_0_first, ranks
from carp_ros.training.run_folder import CURVES, RunFolder
from carp_ros.training.tokenizer import TokenizerTrainee
from carp_ros.training.windows import read_windows, split_episodes

if TYPE_CHECKING:
    from carp_ros.cli.train import TokenizerCommand

_HELD_OUT = 0.02


def run(command: TokenizerCommand) -> int:
    """Train; return 0."""
    recipe = checked(recipe_of(command), "carp train tokenizer")
    dataset = open_dataset(command.dataset, command.learn, with_images=False)
    data = read_windows(dataset, recipe.network.vq.horizon)
    trained, held_out = split_episodes(data, _HELD_OUT, 0, command.seed)
    network = make_tokenizer(recipe.network, recipe.noise, data, command.seed)
    made = dataclasses.replace(recipe, network=network.config)  # fitted to the dataset's layouts
    config = {"kind": "tokenizer", "dataset": str(command.dataset), **dataclasses.asdict(made)}
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


def recipe_of(command: TokenizerCommand) -> TokenizerRecipe:
    """Return the preset's recipe with the command's overrides."""
    recipe = TOKENIZERS[command.preset]
    vq = recipe.network.vq
    if command.lookup != "preset":
        vq = dataclasses.replace(vq, cosine=command.lookup == "cosine")
    if command.scales:
        vq = dataclasses.replace(vq, scales=command.scales)
    network = dataclasses.replace(recipe.network, vq=vq)
    changes: dict[str, Any] = {"epochs": command.epochs} if command.epochs else {}
    loop = dataclasses.replace(recipe.loop, seed=command.seed, **changes)
    return dataclasses.replace(recipe, network=network, loop=loop)
