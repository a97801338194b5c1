"""Trains variants: each a tokenizer, then a policy on its tokens, once a seed.

Needs torch, NumPy, PyArrow, OpenCV and safetensors; no simulation and, where the dataset's images
are kept already, no PyAV.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.ablations.variants import VARIANTS, Name, Variant
from bench.ablations.words import command_line
from carp_ros.cli.train_progress import TrainProgress
from carp_ros.console.progress import Progress
from carp_ros.evaluation.report import machine, write_report
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.share import version
from carp_ros.training.action_error import action_errors
from carp_ros.training.build import load_tokenizer, policy_config
from carp_ros.training.carp import CarpFamily
from carp_ros.training.carp_tokenizer import make_tokenizer
from carp_ros.training.device import training_device
from carp_ros.training.example import encoder_example, write_example
from carp_ros.training.family import Samples
from carp_ros.training.image_store import ImageStore
from carp_ros.training.images import CameraImages, read_images
from carp_ros.training.loop import LoopConfig, train
from carp_ros.training.run_folder import RunFolder
from carp_ros.training.tokenizer import TokenizerTrainee
from carp_ros.training.windows import Indices, Windows, read_windows, split_episodes

HELD_OUT = 0.1
_SPLIT_SEED = 0  # all variants and seeds are validated on the same episodes
DONE = "training.json"
"""In a run's folder once it is trained: its figures, and how they came about."""


@dataclass(frozen=True)
class Training:
    """What is the same for all runs.

    Attributes:
        dataset: Folder of `carp convert`.
        out: Where runs go: OUT/<variant>/seed_<n>.
        images: Folder of the images that `read_images` keeps.
        epochs: Of a policy; 0 takes the preset's.
        tokenizer_epochs: Of a tokenizer; 0 takes the preset's.
        compile: Whether torch.compile writes the policies' steps.
    """

    dataset: Path
    out: Path
    images: Path
    epochs: int = 0
    tokenizer_epochs: int = 0
    compile: bool = False

    def folder(self, name: Name, seed: int) -> Path:
        """Return where a run is."""
        return self.out / name / f"seed_{seed}"


@dataclass(frozen=True)
class _Material:
    """A dataset as a run takes it: numbers and images of all frames, and which are for what."""

    reader: DatasetReader
    data: Windows
    images: CameraImages
    trained: Indices
    held_out: Indices


def train_all(training: Training, runs: list[tuple[Name, int]], jobs: int) -> bool:
    """Train variants and seeds, several at a time, but not those that are done.

    Returns:
        Whether all are done now; why one is not is said on the terminal.
    """
    left = [run for run in runs if not (training.folder(*run) / DONE).is_file()]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are done already")
    if not left:
        return True
    _keep_images(training, [VARIANTS[name] for name, _ in left])
    failed = 0
    for (name, seed), outcome in _outcomes(training, left, jobs):
        if isinstance(outcome, Exception):
            failed += 1
            print(f"{name}, seed {seed}: failed: {outcome!r}", flush=True)
        else:
            print(f"{name}, seed {seed}: {_in_words(outcome)}", flush=True)
    return failed == 0


def train_run(training: Training, name: Name, seed: int, *, quiet: bool) -> dict[str, Any]:
    """Train a variant with a seed, from where it was stopped; return what `training.json` says."""
    variant = _variant_for(training, name, seed)
    folder = training.folder(name, seed)
    material = _material(training, variant)
    data, trained, held_out = material.data, material.trained, material.held_out
    tokenizer_run = _train_tokenizer(variant, material, folder, quiet=quiet)
    tokenizer = load_tokenizer(tokenizer_run.path)
    floor = reconstruction_errors(tokenizer, data, held_out)
    policy, policy_run = _train_policy(variant, material, tokenizer, folder, quiet=quiet)
    loops = variant.tokenizer.loop, variant.policy.loop
    content = {
        "variant": name,
        "seed": seed,
        "dataset": training.dataset.name,
        "episodes": {
            "trained": len(np.unique(data.episodes[trained])),
            "held_out": len(np.unique(data.episodes[held_out])),
        },
        "windows": {"trained": len(trained), "held_out": len(held_out)},
        "tokens": tokenizer.vq.config.tokens,
        "epochs": {"tokenizer": loops[0].epochs, "policy": loops[1].epochs},
        "parameters": {
            "tokenizer": _weights(tokenizer.vq),
            "policy": _weights(policy) - _weights(tokenizer.vq),
        },
        "tokenizer": {**floor, "codes_used": tokenizer_run.figures()[-1]["codes_used"]},
        "policy": _last_scale(policy_run.figures()[-1], len(tokenizer.vq.config.scales)),
        "seconds": {
            "tokenizer": _seconds(tokenizer_run, loops[0], len(trained)),
            "policy": _seconds(policy_run, loops[1], len(trained)),
        },
        "machine": {**machine(), "device": _device(), "torch": torch.__version__},
        "version": version(),
        "date": date.today().isoformat(),
        "command": command_line(),
    }
    write_report(folder / DONE, content)
    return content


@torch.no_grad()
def reconstruction_errors(
    tokenizer: ActionTokenizer, data: Windows, windows: Indices
) -> dict[str, float]:
    """Return how far off actions come back from their own tokens: no policy is nearer, but by luck.

    Args:
        tokenizer: Trained, on the CPU.
        data: The dataset's windows.
        windows: Which of them.
    """
    states = torch.from_numpy(data.states[windows])
    actions = torch.from_numpy(data.actions[windows])
    latent = tokenizer.vq.latents_from_tokens(tokenizer.tokenize(actions, states))[:, -1]
    return action_errors(
        tokenizer.decode(latent, states).numpy(), data.actions[windows], data.action
    )


def _train_tokenizer(variant: Variant, m: _Material, folder: Path, *, quiet: bool) -> RunFolder:
    recipe = variant.tokenizer
    network = make_tokenizer(recipe.network, recipe.noise, m.data, recipe.loop.seed)
    run = RunFolder(folder / "tokenizer", {"kind": "tokenizer", **dataclasses.asdict(recipe)})
    trainee = TokenizerTrainee(network, m.data, m.trained, m.held_out, recipe.noise)
    train(trainee, recipe.loop, run, TrainProgress(quiet=quiet).show)
    return run


def _train_policy(
    variant: Variant, m: _Material, tokenizer: ActionTokenizer, folder: Path, *, quiet: bool
) -> tuple[nn.Module, RunFolder]:
    recipe, seed = variant.policy, variant.policy.loop.seed
    assert recipe.image_encoder is not None, "bundles are of policies that see"
    family = CarpFamily()
    network = family.make(recipe, tokenizer, tuple(m.reader.spec.cameras), m.data, seed)
    config = policy_config(family, recipe, tokenizer, m.reader, m.data, 0, seed)
    run = RunFolder(folder / "policy", config)
    write_example(run.path, encoder_example(m.data, m.images, int(m.held_out[0])))
    store = ImageStore(m.images, recipe.image_encoder.crop_px, training_device())
    samples = Samples(m.data, store, m.trained, m.held_out)
    trainee = family.trainee(network, recipe, samples, None)
    train(trainee, recipe.loop, run, TrainProgress(quiet=quiet).show)
    return network, run


def _material(training: Training, variant: Variant) -> _Material:
    reader = DatasetReader(training.dataset)
    data = read_windows(reader, variant.tokenizer.network.vq.horizon)
    trained, held_out = split_episodes(data, HELD_OUT, 0, _SPLIT_SEED)
    return _Material(reader, data, _images(training, reader, variant), trained, held_out)


def _variant_for(training: Training, name: Name, seed: int) -> Variant:
    """Return a variant with the seed, and the epochs that were asked for."""
    variant = VARIANTS[name]

    def loop(of_recipe: LoopConfig, epochs: int, *, compiled: bool = False) -> LoopConfig:
        epochs = epochs or of_recipe.epochs
        return dataclasses.replace(of_recipe, seed=seed, epochs=epochs, compile=compiled)

    tokenizer, policy = variant.tokenizer, variant.policy
    return dataclasses.replace(
        variant,
        tokenizer=dataclasses.replace(
            tokenizer, loop=loop(tokenizer.loop, training.tokenizer_epochs)
        ),
        policy=dataclasses.replace(
            policy, loop=loop(policy.loop, training.epochs, compiled=training.compile)
        ),
    )


def _outcomes(
    training: Training, runs: list[tuple[Name, int]], jobs: int
) -> Iterator[tuple[tuple[Name, int], dict[str, Any] | Exception]]:
    """Yield each run with its figures, or why there are none."""
    if jobs == 1:
        for name, seed in runs:
            print(f"{name}, seed {seed}: tokenizer, then policy", flush=True)
            yield (name, seed), train_run(training, name, seed, quiet=False)
        return
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    pool = ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,))
    with pool:
        futures: dict[Future[dict[str, Any]], tuple[Name, int]] = {
            pool.submit(train_run, training, name, seed, quiet=True): (name, seed)
            for name, seed in runs
        }
        progress = Progress(len(runs), "runs")
        for done, future in enumerate(as_completed(futures), 1):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], future.result() if error is None else error
            progress.show(done)


def _keep_images(training: Training, variants: list[Variant]) -> None:
    """Decode the dataset's images once, before several processes want them."""
    reader = DatasetReader(training.dataset)
    for variant in {v.policy.image_encoder: v for v in variants}.values():
        _images(training, reader, variant)


def _images(training: Training, reader: DatasetReader, variant: Variant) -> CameraImages:
    assert variant.policy.image_encoder is not None, "bundles are of policies that see"
    progress = Progress(reader.frames * len(reader.cameras), "images")
    size = ImageSize(*variant.policy.image_encoder.image_px)
    return read_images(reader, size, training.images, progress.show)[0]


def _last_scale(figures: dict[str, float], scales: int) -> dict[str, float]:
    """Return the held-out figures of whole plans, without those of each scale."""
    names = ("position_error_m", "rotation_error_rad", "gripper_error", "token_accuracy")
    last = {name: figures[f"held_out_{name}_{scales - 1}"] for name in names}
    return {**last, "loss": figures["held_out_loss"]}


def _seconds(run: RunFolder, loop: LoopConfig, windows: int) -> float:
    """Return how long all epochs took, whether or not they were of one process."""
    taken = max(1, windows // loop.batch) * loop.batch
    return round(sum(taken / row["windows_a_s"] for row in run.figures()), 1)


def _weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _device() -> str:
    device = training_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _in_words(content: dict[str, Any]) -> str:
    return (
        f"held-out actions {1000 * content['policy']['position_error_m']:.2f} mm,"
        f" {content['policy']['rotation_error_rad']:.4f} rad off; by its tokenizer alone"
        f" {1000 * content['tokenizer']['position_error_m']:.2f} mm,"
        f" {content['tokenizer']['rotation_error_rad']:.4f} rad;"
        f" {sum(content['seconds'].values()):.0f} s of training"
    )


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return what a run's `training.json` says, if it is done."""
    file = folder / DONE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
