"""FASTer's recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.strict import Between
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig

Freeze = Literal["backbone", "lower-half", "nothing"]


@dataclass(frozen=True)
class PublishedBackbone:
    """Which published model is a policy's backbone, and what of it is trained.

    Attributes:
        folder: With `config.json`, `*.safetensors` and `tokenizer.json`, as published.
        layers: How many of the decoder's first layers to keep; 0 for all.
        image_px: Side of the square that crops are scaled to; 0 for the published one.
        freeze: What of it is not trained: all of the backbone, while the expert is new; then vision
            and the decoder's lower half; or nothing.
        lora_rank: Width of the ways around its layers, which alone are trained then; 0 for none.
    """

    folder: str
    layers: Annotated[int, Between(0, 1000)] = 0
    image_px: Annotated[int, Between(0, 4096)] = 0
    freeze: Freeze = "backbone"
    lora_rank: Annotated[int, Between(0, 1024)] = 0


@dataclass(frozen=True)
class FasterRecipe:
    """How to make a policy.

    Attributes:
        image_encoder: Sizes of image and crop; the backbone sees crops.
        loop: Settings of the training loop.
        noise: Noise on the states in training, and on committed steps.
        jitter: Colour jitter of the images in training.
        published: The model that is the backbone; None for the tiny one.
        width, layers, heads, kv_heads, hidden, image_tokens, looks: Of the tiny backbone.
        expert_width, expert_hidden: Of the action expert; 0 for half of the backbone's width, and
            for what suits the expert's (arXiv:2506.01844).
        block: Tokens that are predicted at once; 1 for one by one, 0 for as many as suit the
            tokenizer: a level of FASTerVQ, a step of bins.
        tables: Tables of token embeddings: 1, as in the paper, shares one among levels; 0 is one a
            level.
        prompt_tokens: Length of the prompt.
        word_noise: Share of an instruction's words that training leaves out or makes unreadable.
        committed_steps: Most steps that an arm may be committed to when a plan begins; 0 for a
            policy that is not told.
        sketch_weight: Of the errors of a regression of chunk and aim that the backbone is trained
            with besides the codes, see `sketch.Sketch`; 0 for none.
        sharpness: Plans are means over the codes by their probability to this power; 0 for the
            likeliest codes alone, as in the paper.
        code_spread: Label smoothing, see `soft_targets`; close to 0, as in the paper, does not.
    """

    image_encoder: ImageEncoderConfig
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)
    jitter: ColourJitter = field(default_factory=ColourJitter)
    published: PublishedBackbone | None = None
    width: Annotated[int, Between(8, 16_384)] = 96
    layers: Annotated[int, Between(1, 100)] = 4
    heads: Annotated[int, Between(1, 128)] = 4
    kv_heads: Annotated[int, Between(1, 128)] = 2
    hidden: Annotated[int, Between(8, 65_536)] = 192
    image_tokens: Annotated[int, Between(1, 1000)] = 8
    looks: Annotated[int, Between(1, 1000)] = 8
    expert_width: Annotated[int, Between(0, 16_384)] = 64
    expert_hidden: Annotated[int, Between(0, 65_536)] = 128
    block: Annotated[int, Between(0, 1000)] = 0
    tables: Annotated[int, Between(0, 16)] = 0
    prompt_tokens: Annotated[int, Between(4, 2048)] = 44
    word_noise: Annotated[float, Between(0.0, 0.9)] = 0.1
    committed_steps: Annotated[int, Between(0, 64)] = 8
    sketch_weight: Annotated[float, Between(0.0, 1e6)] = 0.0
    sharpness: Annotated[float, Between(0.0, 100.0)] = 0.0
    code_spread: Annotated[float, Between(1e-9, 1e6)] = 0.6


PRESETS: Mapping[str, FasterRecipe] = {
    "cpu-small": FasterRecipe(
        ImageEncoderConfig(crop_px=(104, 72)),
        LoopConfig(20, 64, 5, optimizer=OptimizerConfig(6e-4, gradient_clip=1.0, last_rate=0.01)),
        StateNoise(position_m=0.003, rot6d=0.01),
        ColourJitter(contrast=0.1, brightness=0.1, tint=0.03),
        sketch_weight=10.0,
        sharpness=2.0,
    ),
    "published": FasterRecipe(
        ImageEncoderConfig(image_px=(320, 240), crop_px=(288, 216)),
        LoopConfig(
            20, 32, 5, optimizer=OptimizerConfig(1e-4, weight_decay=1e-10, gradient_clip=1.0)
        ),
        StateNoise(position_m=0.003, rot6d=0.01),
        ColourJitter(contrast=0.1, brightness=0.1, tint=0.03),
        expert_width=0,
        expert_hidden=0,
        prompt_tokens=96,
        word_noise=0.0,
    ),
}
