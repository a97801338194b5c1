"""Bundles with random weights, for timing: inference time does not depend on the weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carp_ros.export.training_run import export_network
from carp_ros.files.plain_yaml import load_mapping, yaml_from_mapping
from carp_ros.inference.bundle import MANIFEST, WeightPrecision, load_bundle, sha256_of
from carp_ros.inference.layout import TOOL
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.policies.carp import load_carp
from carp_ros.training.carp import make_policy
from carp_ros.training.presets import POLICIES, TOKENIZERS
from carp_ros.training.windows import Windows

_WINDOWS = 64
_SPREAD = 0.3


def write_untrained(
    folder: Path,
    preset: str,
    cameras: tuple[str, ...],
    seed: int = 0,
    precision: WeightPrecision = "float32",
) -> None:
    """Write a bundle with the sizes of a preset and random weights.

    Args:
        folder: Of the bundle; an existing one is replaced.
        preset: Name of a policy's preset.
        cameras: Names of its cameras; ignored for state-only presets.
        seed: Of weights and golden case.
        precision: Of the graphs.
    """
    recipe, tokens = POLICIES[preset], TOKENIZERS[preset]
    rng = np.random.default_rng(seed)
    horizon = tokens.network.vq.horizon
    states = rng.normal(0.4, 0.1, (_WINDOWS, len(TOOL))).astype(np.float32)
    actions = rng.normal(0.4, 0.1, (_WINDOWS, horizon, len(TOOL))).astype(np.float32)
    zeros = np.zeros(_WINDOWS, np.int64)
    data = Windows(states, actions, zeros, zeros, ("cup",))
    torch.manual_seed(seed)
    tokenizer = ActionTokenizer(tokens.network)
    tokenizer.fit(torch.from_numpy(actions), torch.from_numpy(states))
    network = make_policy(recipe, tokenizer, cameras, data, seed).eval()
    with torch.no_grad():  # initially gates are almost closed, and codes almost zero
        for part in (network.transformer, network.tokenizer.vq):
            for weight in part.parameters():
                weight.add_(_SPREAD * torch.randn_like(weight))
    encoder = recipe.image_encoder or ImageEncoderConfig()
    size = (1, encoder.image_px[1], encoder.image_px[0], 3)
    example = {
        f"image_{name}": rng.integers(0, 256, size, np.uint8)
        for name in (cameras if recipe.image_encoder else ())
    }
    example["state"] = states[:1]
    layout = TOOL.spanning((-1.0,) * len(TOOL), (1.0,) * len(TOOL))
    config = {
        "kind": "policy",
        "policy": "carp",
        "seed": seed,
        "rig": "none",
        "step_s": 0.1,
        "cameras": list(cameras),
        "tasks": ["cup"],
        **{what: dataclasses.asdict(layout) for what in ("state", "action")},
        "tokenizer": dataclasses.asdict(tokenizer.config),
        "recipe": dataclasses.asdict(recipe),
    }
    made = {"untrained": preset}
    export_network(network, encoder, example, config, folder, made, precision)
    if precision != "float32":
        _agree_with_itself(folder)


def _agree_with_itself(folder: Path) -> None:
    """Replace the golden case by what the graphs compute.

    Random logits are close to each other, so that 8-bit graphs choose other tokens than the
    network. An untrained bundle only serves measurements, so the check loses nothing.
    """
    bundle = load_bundle(folder)
    golden: dict[str, Any] = {**bundle.golden()}
    policy = load_carp(bundle, OnnxRuntime(), lambda: 0, {}, None)
    decoded = policy.decode({name: golden[name] for name in bundle.input_names})
    golden |= {"tokens": decoded.tokens, "actions": decoded.actions.astype(np.float32)}
    archive = folder / bundle.manifest.golden.file
    np.savez(archive, **golden)
    content = load_mapping(folder / MANIFEST)
    content["golden"]["sha256"] = sha256_of(archive)
    (folder / MANIFEST).write_text(yaml_from_mapping(content), encoding="utf-8")
