"""A small world: a tool on a line that goes to where a bright spot is."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.networks.action_tokenizer import ActionConfig
from carp_ros.networks.carp_policy import CarpPolicyNetwork, ImageEncoderConfig
from carp_ros.networks.carp_tokenizer import TokenizerConfig
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.carp import make_policy
from carp_ros.training.carp_tokenizer import make_tokenizer
from carp_ros.training.carp_trainee import CarpTrainee
from carp_ros.training.device import training_device
from carp_ros.training.family import Samples
from carp_ros.training.image_store import ImageStore
from carp_ros.training.images import CameraImages
from carp_ros.training.loop import LoopConfig
from carp_ros.training.presets import PolicyRecipe
from carp_ros.training.windows import Windows

HORIZON = 8
EYES = ImageEncoderConfig(image_px=(20, 16), crop_px=(16, 12), width=8)


def make_world(frames: int = 64, tasks: int = 1) -> tuple[Windows, CameraImages]:
    rng = np.random.default_rng(0)
    goals = rng.uniform(0.0, 1.0, frames).astype(np.float32)
    ramps = np.linspace(0.0, 1.0, HORIZON, dtype=np.float32)
    actions = np.tile(
        np.array([0.4, 0, 0.2, 1, 0, 0, 0, 1, 0, 0], np.float32), (frames, HORIZON, 1)
    )
    actions[..., 1] = goals[:, None] * ramps
    actions[..., 9] = goals[:, None] > 0.5
    images = np.zeros((frames, 16, 20, 3), np.uint8)
    for frame, goal in enumerate(goals):
        images[frame, 7:10, round(3 + 12 * goal) : round(6 + 12 * goal)] = 255
    states = actions[:, 0].copy()
    episodes = np.arange(frames) // 8
    names = ("cup", "bowl")[:tasks]
    data = Windows(states, actions, np.arange(frames) % tasks, episodes, names)
    return data, {"cam": images}


def make_recipe(sharpness: float | None = None, committed: int = 0) -> PolicyRecipe:
    return PolicyRecipe(
        16,
        2,
        2,
        0.0,
        EYES,
        LoopConfig(1, 8),
        fusion=12,
        sharpness=sharpness,
        committed_steps=committed,
    )


def make_network(
    data: Windows,
    *,
    seed: int = 0,
    joint: bool = False,
    sharpness: float | None = None,
    committed: int = 0,
) -> CarpPolicyNetwork:
    vq = TokenizerConfig(horizon=HORIZON, scales=(1, 2), codes=16, code_width=4, joint=joint)
    tokenizer = make_tokenizer(ActionConfig(vq, relative=True), StateNoise(0.01), data, seed)
    recipe = make_recipe(sharpness, committed)
    return make_policy(recipe, tokenizer.eval(), ("cam",), data, seed)


def make_trainee(
    frames: int = 64, tasks: int = 1, *, seed: int = 0, joint: bool = False, committed: int = 0
) -> CarpTrainee:
    data, images = make_world(frames, tasks)
    windows = np.arange(frames)
    store = ImageStore(images, EYES.crop_px, training_device())
    samples = Samples(data, store, windows[:-8], windows[-8:])
    recipe = dataclasses.replace(
        make_recipe(),
        noise=StateNoise(position_m=0.01),
        jitter=ColourJitter(0.1, 0.1, 0.05),
        code_spread=0.5,
    )
    network = make_network(data, seed=seed, joint=joint, committed=committed)
    return CarpTrainee(network, recipe, samples)


def make_run_config(network: CarpPolicyNetwork) -> dict[str, Any]:
    """Return what a training of a network says of itself, as JSON has it."""
    config = {
        "kind": "policy",
        "rig": "ur5e_sim",
        "step_s": 0.1,
        "cameras": ["cam"],
        "tasks": ["cup"],
        "ranges": {
            f"{what}_{end}": [value] * 10
            for what in ("state", "action")
            for end, value in (("low", 0.0), ("high", 1.0))
        },
        "tokenizer": dataclasses.asdict(network.tokenizer.config),
        "recipe": dataclasses.asdict(make_recipe()),
    }
    return json.loads(json.dumps(config))
