"""`carp train policy`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from carp_ros.cli.export import provenance
from carp_ros.cli.train_dataset import open_dataset
from carp_ros.cli.train_progress import TrainProgress
from carp_ros.console.progress import Progress
from carp_ros.export.training_run import export_run
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.recording.demonstrations import Demonstrations
from carp_ros.share import cache_folder
from carp_ros.system.bringup import bundle_path
from carp_ros.training.action_range import require_range
from carp_ros.training.build import load_tokenizer, policy_config, start_from
from carp_ros.training.curves import draw_curves
from carp_ros.training.device import training_device
from carp_ros.training.example import encoder_example, write_example
from carp_ros.training.families import family_named
from carp_ros.training.family import Family, Recipe, Rollout, Samples
from carp_ros.training.faster_recipe import PublishedBackbone
from carp_ros.training.image_store import ImageStore
from carp_ros.training.images import CameraImages, read_images
from carp_ros.training.loop import train
from carp_ros.training.policy_config import checked, read_policy_config
from carp_ros.training.ranks import rank, rank_0_first, ranks
from carp_ros.training.run_folder import CURVES, RunFolder
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.windows import read_windows, readable, split_episodes

if TYPE_CHECKING:
    from carp_ros.cli.train import PolicyCommand

_HELD_OUT = 0.02


def run(command: PolicyCommand) -> int:
    """Train and export; return 0."""
    family = family_named(command.policy, "carp train policy")
    recipe = recipe_of(command, family)
    for name, count in (
        ("demonstrations", command.demonstrations),
        ("rollouts", command.rollouts),
    ):
        if count < 0:
            raise ValueError(f"--{name} is {count}; expected 0 or more")
    tokenizer = _tokenizer(command, family)
    dataset = open_dataset(
        command.dataset, command.learn, with_images=recipe.image_encoder is not None
    )
    horizon = family.horizon(recipe, tokenizer)
    data = read_windows(dataset, horizon, by_instruction=family.by_instruction)
    if tokenizer is not None:
        require_range(tokenizer, data)
    demonstrations, seed = command.demonstrations, command.seed
    with ranks():
        with rank_0_first():
            images, unreadable = _images(recipe, dataset)
            data = readable(data, unreadable)
            config = policy_config(family, recipe, tokenizer, dataset, data, demonstrations, seed)
            read_policy_config(json.loads(json.dumps(config)), str(command.dataset))
            config["start_from"] = command.start_from.name if command.start_from else ""
            folder = RunFolder(command.out, config)
        trained, held_out = split_episodes(data, _HELD_OUT, demonstrations, seed, unreadable.keys())
        network = family.make(recipe, tokenizer, dataset.cameras, data, seed)
        if command.start_from:
            start_from(network, bundle_path(str(command.start_from)), data.task_names)
        if rank() == 0:
            write_example(command.out, encoder_example(data, images, int(held_out[0])))
        crop_px = recipe.image_encoder.crop_px if recipe.image_encoder else (0, 0)
        store = ImageStore(images, crop_px, training_device())
        samples = Samples(data, store, trained, held_out)
        trainee = family.trainee(network, recipe, samples, _rollout(command, recipe, config))
        show = TrainProgress(quiet=rank() > 0).show
        train(trainee, recipe.loop, folder, show, by_chance=command.start_from is None)
        if rank() == 0:
            _finish(command, folder)
    return 0


def recipe_of(command: PolicyCommand, family: Family) -> Any:
    """Return the preset's recipe with the command's overrides.

    Raises:
        ValueError: If this kind of policy has no such preset, or a number is out of its range.
    """
    if command.preset not in family.presets:
        raise ValueError(
            f"--preset is {command.preset}; expected one of {family.kind}:"
            f" {', '.join(family.presets)}"
        )
    recipe = family.presets[command.preset]
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
    recipe = dataclasses.replace(recipe, loop=loop, **_of_some_kinds(command, family, recipe))
    return checked(recipe, "carp train policy")


def _of_some_kinds(command: PolicyCommand, family: Family, recipe: Any) -> dict[str, Any]:
    """Return the recipe's fields that only some kinds of policy have.

    Raises:
        ValueError: If this kind lacks one that was given, or the preset needs one that was not.
    """
    named = {"committed_steps": command.committed_steps, "block": command.block}
    given: dict[str, Any] = {name: value for name, value in named.items() if value}
    published = command.published
    if published.backbone:
        given["published"] = PublishedBackbone(
            str(published.backbone.expanduser().absolute()),
            published.backbone_layers,
            published.backbone_px,
            published.freeze,
            published.lora_rank,
        )
    for name in given:
        if not hasattr(recipe, name):
            option = "backbone" if name == "published" else name.replace("_", "-")
            raise ValueError(
                f"--{option} is given; expected no such option, as a {family.kind} policy has none"
            )
    if (command.preset == "published") != ("published" in given):
        raise ValueError(
            f"--preset is {command.preset} and --backbone {published.backbone}; expected --preset"
            " published with the folder of a published model, or neither"
        )
    return given


def _tokenizer(command: PolicyCommand, family: Family) -> TokenizerNetwork | None:
    """Load the tokenizer that a kind of policy needs; None for a kind without tokens.

    Raises:
        ValueError: If it is missing, or given to a kind without tokens.
    """
    kinds = family.tokenizer_kinds
    if bool(kinds) == (command.tokenizer is None):
        wanted = f"a folder of `carp train tokenizer --kind {kinds[0]}`" if kinds else "none"
        raise ValueError(
            f"--tokenizer is {command.tokenizer}; expected {wanted}, as --policy is {family.kind}"
        )
    if command.tokenizer is None:
        return None
    return load_tokenizer(bundle_path(str(command.tokenizer)), *kinds)


def _images(recipe: Recipe, dataset: Demonstrations) -> tuple[CameraImages, dict[int, str]]:
    """Return the images at the network's size, and why those of some episodes can't be read.

    They are decoded once and cached, showing progress.
    """
    if recipe.image_encoder is None:
        return {}, {}
    progress = Progress(len(dataset.numbers) * len(dataset.cameras), "images")
    size = ImageSize(*recipe.image_encoder.image_px)
    images, unreadable = read_images(dataset, size, cache_folder() / "images", progress.show)
    if rank() == 0:
        for reason in unreadable.values():
            print(f"left out: {reason}")
    return images, unreadable


def _rollout(command: PolicyCommand, recipe: Recipe, config: dict[str, Any]) -> Rollout | None:
    """Return the function that runs rollouts, if they were requested."""
    if not command.rollouts:
        return None
    from carp_ros.cli.train_rollouts import rollout  # needs the simulator, absent on GPU servers

    return rollout(command, recipe, config)


def _finish(command: PolicyCommand, folder: RunFolder) -> None:
    """Draw the curves and write the bundle."""
    draw_curves(folder.figures(), command.out / CURVES)
    bundle = command.out / "bundle"
    export_run(command.out, bundle, provenance())
    print(f"bundle: {bundle}")
