"""`carp train policy`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from carp_ros.cli.export import provenance
from carp_ros.cli.train_progress import TrainProgress
from carp_ros.console.progress import Progress
from carp_ros.export.training_run import export_run
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.share import cache_folder
from carp_ros.system.bringup import bundle_path
from carp_ros.training.action_range import require_range
from carp_ros.training.build import load_tokenizer, make_policy, policy_config, start_from
from carp_ros.training.curves import draw_curves
from carp_ros.training.device import training_device
from carp_ros.training.example import encoder_example, write_example
from carp_ros.training.image_store import ImageStore
from carp_ros.training.images import Images, read_images
from carp_ros.training.loop import train
from carp_ros.training.policy import PolicyTrainee, Rollout
from carp_ros.training.policy_config import checked, read_policy_config
from carp_ros.training.presets import POLICIES, PolicyRecipe
from carp_ros.training.ranks import rank, rank_0_first, ranks
from carp_ros.training.run_folder import CURVES, RunFolder
from carp_ros.training.windows import read_windows, split_episodes

if TYPE_CHECKING:
    from carp_ros.cli.train import PolicyCommand

_HELD_OUT = 0.02


def run(command: PolicyCommand) -> int:
    """Train and export; return 0."""
    recipe = checked(recipe_of(command), "carp train policy")
    for name, count in (
        ("demonstrations", command.demonstrations),
        ("rollouts", command.rollouts),
    ):
        if count < 0:
            raise ValueError(f"--{name} is {count}; expected 0 or more")
    reader = DatasetReader(command.dataset)
    tokenizer = load_tokenizer(bundle_path(str(command.tokenizer)))
    data = read_windows(reader, tokenizer.vq.config.horizon)
    require_range(tokenizer, data)
    trained, held_out = split_episodes(data, _HELD_OUT, command.demonstrations, command.seed)
    network = make_policy(recipe, tokenizer, tuple(reader.spec.cameras), data, command.seed)
    if command.start_from:
        start_from(network, bundle_path(str(command.start_from)), data.task_names)
    config = policy_config(recipe, tokenizer, reader, data, command.demonstrations, command.seed)
    read_policy_config(json.loads(json.dumps(config)), str(command.dataset))
    config["start_from"] = command.start_from.name if command.start_from else ""
    with ranks():
        with rank_0_first():
            folder = RunFolder(command.out, config)
            images = _images(recipe, reader)
        if rank() == 0:
            write_example(command.out, encoder_example(data, images, int(held_out[0])))
        crop_px = recipe.eyes.crop_px if recipe.eyes else (0, 0)
        store = ImageStore(images, crop_px, training_device())
        rollout = _rollout(command, recipe, config)
        trainee = PolicyTrainee(
            network,
            data,
            store,
            trained,
            held_out,
            recipe.noise,
            recipe.jitter,
            recipe.code_spread,
            rollout,
        )
        show = TrainProgress(quiet=rank() > 0).show
        train(trainee, recipe.loop, folder, show, by_chance=command.start_from is None)
        if rank() == 0:
            _finish(command, recipe, folder)
    return 0


def recipe_of(command: PolicyCommand) -> PolicyRecipe:
    """Return the preset's recipe with what the command replaces."""
    recipe = POLICIES[command.preset]
    loop = dataclasses.replace(
        recipe.loop,
        epochs=command.epochs or recipe.loop.epochs,
        batch=command.batch or recipe.loop.batch,
        seed=command.seed,
        compile=command.compile,
        optimizer=dataclasses.replace(
            recipe.loop.optimizer,
            learning_rate=command.learning_rate or recipe.loop.optimizer.learning_rate,
        ),
    )
    return dataclasses.replace(recipe, loop=loop)


def _images(recipe: PolicyRecipe, reader: DatasetReader) -> Images:
    """Return the dataset's images as the network takes them; decoded once, showing progress."""
    if recipe.eyes is None:
        return {}
    progress = Progress(reader.frames * len(reader.spec.cameras), "images")
    size = ImageSize(*recipe.eyes.image_px)
    return read_images(reader, size, cache_folder() / "images", progress.show)


def _rollout(
    command: PolicyCommand, recipe: PolicyRecipe, config: dict[str, Any]
) -> Rollout | None:
    """Return what tries a network out, if that is asked for."""
    if not command.rollouts:
        return None
    from carp_ros.cli.train_rollouts import rollout  # needs the simulator, a GPU server has none

    return rollout(command, recipe, config)


def _finish(command: PolicyCommand, recipe: PolicyRecipe, folder: RunFolder) -> None:
    """Draw the curves and write the bundle."""
    draw_curves(folder.figures(), command.out / CURVES)
    if recipe.eyes:
        bundle = command.out / "bundle"
        export_run(command.out, bundle, provenance())
        print(f"bundle: {bundle}")
