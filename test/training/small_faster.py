"""A small FASTer policy for the small world."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.faster_actions import FasterActionConfig, FasterActionTokenizer
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.faster_tokenizer import FasterTokenizerConfig
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.device import training_device
from carp_ros.training.family import Samples
from carp_ros.training.faster import FasterFamily
from carp_ros.training.faster_recipe import FasterRecipe
from carp_ros.training.faster_tokenizer import FasterTokenizerKind, FasterTokenizerRecipe
from carp_ros.training.faster_trainee import FasterTrainee
from carp_ros.training.image_store import ImageStore
from carp_ros.training.loop import LoopConfig
from carp_ros.training.tokenizer_kinds import TOKENIZER_KINDS
from carp_ros.training.windows import Windows

from .small_world import HORIZON, make_world

IMAGES = ImageEncoderConfig(image_px=(20, 16), crop_px=(16, 8))
VQ = FasterTokenizerConfig(
    horizon=HORIZON, strides=(2,), width=16, heads=2, depth=1, levels=2, codes=24, code_width=4
)
RECIPE = FasterRecipe(
    IMAGES,
    LoopConfig(1, 8),
    StateNoise(position_m=0.01),
    ColourJitter(0.1, 0.1, 0.05),
    width=32,
    layers=2,
    hidden=48,
    image_tokens=3,
    expert_width=24,
    expert_hidden=32,
    prompt_tokens=30,
    committed_steps=4,
)


def make_tokenizer(data: Windows, gripper="rule") -> FasterActionTokenizer:
    recipe = FasterTokenizerRecipe(FasterActionConfig(VQ, gripper=gripper), LoopConfig(1, 8))
    return FasterTokenizerKind().make(recipe, data, 0).eval()


def fitted_tokenizer(data: Windows, kind: str, most_tokens: int = 20):
    known = TOKENIZER_KINDS[kind]
    recipe = known.presets["cpu-small"]
    network = dataclasses.replace(recipe.network, horizon=HORIZON)
    if kind == "fast":
        network = dataclasses.replace(network, most_tokens=most_tokens)
    return known.make(dataclasses.replace(recipe, network=network), data, 0).eval()


def make_network(
    data: Windows, recipe=RECIPE, gripper="rule", tokenizer=None
) -> FasterPolicyNetwork:
    tokenizer = tokenizer or make_tokenizer(data, gripper)
    return FasterFamily().make(recipe, tokenizer, ("cam",), data, 0).eval()


def make_trainee(frames: int = 64, tasks: int = 2, make=make_tokenizer, **options) -> FasterTrainee:
    data, images = make_world(frames, tasks)
    windows = np.arange(frames)
    samples = Samples(
        data, ImageStore(images, IMAGES.crop_px, training_device()), windows[:-8], windows[-8:]
    )
    recipe = dataclasses.replace(RECIPE, **options)
    network = make_network(data, recipe, tokenizer=make(data))
    return FasterTrainee(network, recipe, samples)
