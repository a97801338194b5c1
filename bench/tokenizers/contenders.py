"""The tokenizers by name, made for some chunks and kept in folders of `carp train tokenizer`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from bench.tokenizers.chunks import Chunks
from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.networks.bins_tokenizer import BinsTokenizer
from carp_ros.networks.fast_tokenizer import FastTokenizer
from carp_ros.networks.faster_actions import FasterActionTokenizer
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.build import load_tokenizer
from carp_ros.training.faster_tokenizer import FasterTokenizerKind
from carp_ros.training.faster_tokenizer import config_for as faster_config_for
from carp_ros.training.loop import train
from carp_ros.training.run_folder import RunFolder
from carp_ros.training.tokenizer import TokenizerTrainee
from carp_ros.training.tokenizer_kinds import TOKENIZER_KINDS

Name = Literal["faster", "fast-mean", "fast-cut-error", "fast-cut-share", "carp", "binning"]
NAMES: tuple[Name, ...] = get_args(Name)
KINDS = {name: "fast" for name in NAMES if name.startswith("fast-")}
BEST = {"fast-cut-error": "error", "fast-cut-share": "share_within_0.1"}
"""By what the scale of a FAST that is cut is chosen."""

SCALES = tuple(round(1.25**power, 3) for power in range(26))  # of FAST, 1 to 265
_FOR_SCALES = 4096  # training chunks that each scale is tried on
_BATCH = 1024


def make(
    name: Name, chunks: Chunks, seed: int, steps: int, preset: str, folder: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """Fit or train a tokenizer to the training chunks, or go on where it was stopped.

    Args:
        name: Which.
        chunks: Data.
        seed: Of weights and order.
        steps: Of a tokenizer that learns.
        preset: Of FASTerVQ.
        folder: Where it is kept, as `carp train tokenizer` does.

    Returns:
        It, and facts about how it was made.
    """
    kind = TOKENIZER_KINDS[KINDS.get(name, name)]
    part = chunks.part(chunks.trained)
    facts: dict[str, Any] = {}
    if name == "faster":
        recipe = faster_recipe(chunks, preset)
        facts["preset"] = preset
    elif name == "carp":
        recipe = _carp_recipe(chunks)
    else:
        recipe = kind.presets["paper"]
        network = dataclasses.replace(recipe.network, horizon=chunks.horizon)
        if name != "binning":
            budget = budget_of(chunks, preset)
            best = BEST.get(name)
            scale, facts["scales"] = fast_scale(chunks, seed, budget, SCALES, best)
            most = budget if best else 0
            network = dataclasses.replace(network, scale=scale, most_tokens=most)
            facts |= {"scale": scale, "budget": budget}
        recipe = dataclasses.replace(recipe, network=network)
    recipe = dataclasses.replace(recipe, noise=StateNoise())
    tokenizer = kind.make(recipe, part, seed)
    trained = chunks.trained
    if any(weight.requires_grad for weight in tokenizer.parameters()):
        trained = np.random.default_rng(seed).permutation(trained)[: steps * recipe.loop.batch]
        epochs = max(1, round(steps / max(1, len(trained) // recipe.loop.batch)))
        loop = dataclasses.replace(recipe.loop, epochs=epochs, validate_every=epochs, seed=seed)
        recipe = dataclasses.replace(recipe, loop=loop)
        facts |= {"steps": epochs * max(1, len(trained) // loop.batch), "batch": loop.batch}
    made = dataclasses.replace(recipe, network=tokenizer.config)
    config = {"kind": "tokenizer", "dataset": chunks.name, **dataclasses.asdict(made)}
    if kind.kind != "carp":
        config["tokenizer_kind"] = kind.kind
    run = RunFolder(folder, config)
    trainee = TokenizerTrainee(tokenizer, chunks.data, trained, chunks.held_out, recipe.noise)
    # a few steps, as of a test, need not learn anything
    train(trainee, recipe.loop, run, by_chance=False)
    facts["parameters"] = sum(weight.numel() for weight in tokenizer.parameters())
    facts["seconds"] = round(
        sum(len(trained) / row["windows_a_s"] for row in run.figures() if "windows_a_s" in row), 1
    )
    return tokenizer.eval(), facts


def load(name: Name, folder: Path) -> nn.Module:
    """Load what `make` left in a folder."""
    return load_tokenizer(folder, KINDS.get(name, name))


def faster_recipe(chunks: Chunks, preset: str) -> Any:
    """Return FASTerVQ's recipe with a preset for the chunks' layout and horizon."""
    recipe = FasterTokenizerKind.presets[preset]
    vq = recipe.network.vq
    shortened = vq.horizon // vq.patch_steps
    vq = dataclasses.replace(vq, horizon=chunks.horizon, patch_steps=chunks.horizon // shortened)
    network = faster_config_for(dataclasses.replace(recipe.network, vq=vq), chunks.data)
    return dataclasses.replace(recipe, network=network)


def budget_of(chunks: Chunks, preset: str) -> int:
    """Return FASTerVQ's tokens of a chunk, 21 for a tool."""
    return faster_recipe(chunks, preset).network.tokens


def _carp_recipe(chunks: Chunks) -> Any:
    recipe = TOKENIZER_KINDS["carp"].presets["cpu-small" if chunks.has_tool else "state"]
    vq = recipe.network.vq
    scales = (*vq.scales[:-1], chunks.horizon // 4)
    vq = dataclasses.replace(vq, horizon=chunks.horizon, scales=scales)
    network = dataclasses.replace(recipe.network, vq=vq)
    return dataclasses.replace(recipe, network=network)


def fast_scale(
    chunks: Chunks, seed: int, budget: int, scales: Sequence[float], best: str | None
) -> tuple[float, list[dict[str, float]]]:
    """Return the scale that is best for FAST on training chunks, and what was tried.

    Args:
        chunks: Data; only training chunks are looked at.
        seed: Of the choice of some chunks.
        budget: Tokens of a chunk.
        scales: Scales to try, in rising order.
        best: Of chunks that are cut at the budget: `error` takes the scale with the least, and
            `share_within_0.1` the one with the greatest. None cuts nothing, and takes the largest
            scale with which the mean is within the budget, more exactly than `scales` has it.
    """
    some = np.random.default_rng(seed).permutation(chunks.trained)[:_FOR_SCALES]
    part = chunks.part(some)
    tried: list[dict[str, float]] = []

    def figures_at(scale: float) -> dict[str, float]:
        kind = TOKENIZER_KINDS["fast"]
        recipe = kind.presets["paper"]
        network = dataclasses.replace(
            recipe.network, horizon=chunks.horizon, scale=scale, most_tokens=budget if best else 0
        )
        tokenizer = kind.make(dataclasses.replace(recipe, network=network), part, seed)
        states, actions = torch.from_numpy(part.states), torch.from_numpy(part.actions)
        found = tokenizer.errors(tokenizer.normalised(actions, states))
        shown = {key: found[key] for key in ("tokens_mean", "error", "share_within_0.1")}
        tried.append({"scale": scale} | {key: round(value, 5) for key, value in shown.items()})
        return found

    if best:
        sign = 1.0 if best == "error" else -1.0
        return min(scales, key=lambda scale: sign * figures_at(scale)[best]), tried
    low = scales[0]
    for scale in scales:
        if figures_at(scale)["tokens_mean"] > budget:
            break
        low = scale
    else:
        return low, tried
    high = scale
    for _ in range(5):
        middle = round((low * high) ** 0.5, 3)
        if figures_at(middle)["tokens_mean"] > budget:
            high = middle
        else:
            low = middle
    return low, tried


def coder(tokenizer: nn.Module) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Return the functions from actions and states to tokens, and from tokens and states back."""
    if isinstance(tokenizer, ActionTokenizer):
        of_carp = tokenizer

        def decode(tokens: Tensor, states: Tensor) -> Tensor:
            return of_carp.decode(of_carp.vq.latents_from_tokens(tokens)[:, -1], states)

        return of_carp.tokenize, decode
    known = cast(Any, tokenizer)
    return known.tokenize, known.decode


@torch.no_grad()
def coded(tokenizer: nn.Module, actions: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tokens of many actions, and what they decode to."""
    encode, decode = coder(tokenizer)
    parts = list(zip(actions.split(_BATCH), states.split(_BATCH)))
    tokens = [encode(*part) for part in parts]
    back = [decode(said, seen) for said, (_, seen) in zip(tokens, parts)]
    return torch.cat(tokens), torch.cat(back)


def use_of(tokenizer: nn.Module, tokens: Tensor) -> dict[str, float]:
    """Return how tokens (M, N) use the codes: tokens and bits of a chunk, share of codes used.

    Returns:
        `tokens_mean`, `tokens_p95`, `tokens_most`; `bits`, the mean of those that say
        something, as if all codes were equally frequent; `codes_used`, the share of the codes that
        occur, a mean over codebooks.
    """
    lengths = torch.full((len(tokens),), float(tokens.shape[1]))
    silent = 0  # tokens that are always the same
    if isinstance(tokenizer, FastTokenizer):
        books, codes = [tokens[tokens < tokenizer.config.padding]], tokenizer.config.vocabulary
        lengths = tokenizer.lengths(tokens).float()
    elif isinstance(tokenizer, FasterActionTokenizer):
        config = tokenizer.config
        columns = tokens.unflatten(1, (config.vq.levels, -1, config.columns))
        columns = columns[..., :-1] if tokenizer.rule is not None else columns
        books, codes = list(columns.unbind(dim=1)), config.vq.codes
        if tokenizer.rule is not None:  # the gripper's column has one that says something
            silent = config.vq.levels * config.vq.times - 1
    elif isinstance(tokenizer, ActionTokenizer):
        groups, codes = tokenizer.vq.config.groups, tokenizer.vq.config.codes
        books = [tokens[:, group::groups] for group in range(groups)]
    else:
        assert isinstance(tokenizer, BinsTokenizer)
        books, codes = [tokens], tokenizer.config.bins
    used = [len(book.unique()) / codes for book in books]
    return {
        "tokens_mean": float(lengths.mean()),
        "tokens_p95": float(lengths.quantile(0.95)),
        "tokens_most": float(lengths.amax()),
        "bits": (float(lengths.mean()) - silent) * float(np.log2(codes)),
        "codes_used": float(np.mean(used)),
    }
