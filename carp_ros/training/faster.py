"""FASTer's training: recipes, and its network from a recipe and a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch

from carp_ros.inference.prompt import BINS, WordPrompts
from carp_ros.inference.words import Words, words_of
from carp_ros.networks.action_expert import ExpertConfig
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.faster_vla import FasterVla
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.networks.tiny_backbone import TinyBackbone, TinyBackboneConfig
from carp_ros.strict import Between, read_strictly
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.family import Rollout, Samples
from carp_ros.training.faster_trainee import FasterTrainee
from carp_ros.training.loop import LoopConfig
from carp_ros.training.optimizer import OptimizerConfig
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.tokenizer_kinds import tokenizer_kind_named
from carp_ros.training.windows import Windows

_INIT_STD = 0.02


@dataclass(frozen=True)
class FasterRecipe:
    """How to make a policy.

    Attributes:
        image_encoder: Sizes of image and crop; the backbone sees crops.
        loop: Settings of the training loop.
        noise: Noise on the states in training, and on committed steps.
        jitter: Colour jitter of the images in training.
        width, layers, heads, kv_heads, hidden, image_tokens: Of the backbone.
        expert_width, expert_hidden: Of the action expert.
        block: Tokens that are predicted at once; 1 for one by one, 0 for as many as suit the
            tokenizer: a level of FASTerVQ, a step of bins.
        tables: Tables of token embeddings: 1, as in the paper, shares one among levels; 0 is one a
            level.
        prompt_tokens: Length of the prompt.
        word_noise: Share of an instruction's words that training leaves out or makes unreadable.
        committed_steps: Most steps that an arm may be committed to when a plan begins; 0 for a
            policy that is not told.
        code_spread: Label smoothing, see `soft_targets`; close to 0, as in the paper, does not.
    """

    image_encoder: ImageEncoderConfig
    loop: LoopConfig
    noise: StateNoise = field(default_factory=StateNoise)
    jitter: ColourJitter = field(default_factory=ColourJitter)
    width: Annotated[int, Between(8, 16_384)] = 96
    layers: Annotated[int, Between(1, 100)] = 4
    heads: Annotated[int, Between(1, 128)] = 4
    kv_heads: Annotated[int, Between(1, 128)] = 2
    hidden: Annotated[int, Between(8, 65_536)] = 192
    image_tokens: Annotated[int, Between(1, 1000)] = 8
    expert_width: Annotated[int, Between(8, 16_384)] = 64
    expert_hidden: Annotated[int, Between(8, 65_536)] = 128
    block: Annotated[int, Between(0, 1000)] = 0
    tables: Annotated[int, Between(0, 16)] = 0
    prompt_tokens: Annotated[int, Between(4, 2048)] = 44
    word_noise: Annotated[float, Between(0.0, 0.9)] = 0.1
    committed_steps: Annotated[int, Between(0, 64)] = 8
    code_spread: Annotated[float, Between(1e-9, 1e6)] = 0.6


class FasterFamily:
    """The kind `faster`; see `family.Family`."""

    kind = "faster"
    tokenizer_kinds = ("faster", "binning")
    by_instruction = True
    presets: Mapping[str, FasterRecipe] = {
        "cpu-small": FasterRecipe(
            ImageEncoderConfig(crop_px=(104, 72)),
            LoopConfig(
                20, 64, 5, optimizer=OptimizerConfig(6e-4, gradient_clip=1.0, last_rate=0.01)
            ),
            StateNoise(position_m=0.003, rot6d=0.01),
            ColourJitter(contrast=0.1, brightness=0.1, tint=0.03),
        ),
    }

    def recipe(self, content: Mapping[str, Any], where: str) -> FasterRecipe:
        """Parse a recipe from JSON."""
        return read_strictly(FasterRecipe, dict(content), where)

    def horizon(self, recipe: FasterRecipe, tokenizer: TokenizerNetwork | None) -> int:
        """Return how many steps a chunk has: the tokenizer's horizon."""
        assert isinstance(tokenizer, NumbersTokenizer)
        return tokenizer.config.horizon

    def make(
        self,
        recipe: FasterRecipe,
        tokenizer: TokenizerNetwork | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> FasterPolicyNetwork:
        """Return an untrained network, with its scaling fitted to the states of a dataset."""
        assert isinstance(tokenizer, NumbersTokenizer)
        torch.manual_seed(seed)
        sizes = len(data.state), len(data.action)
        network = _network(recipe, tokenizer, cameras, sizes, data.task_names)
        states = torch.from_numpy(data.states)
        network.state_scaling.fit(
            states.amin(0), states.amax(0), torch.tensor(data.state.is_rotation)
        )
        _spread_numbers(network)
        return network

    def remake(self, config: PolicyConfig) -> FasterPolicyNetwork:
        """Return an untrained network of a training's configuration, for loading weights into."""
        assert config.tokenizer is not None
        kind = tokenizer_kind_named(config.tokenizer_kind, "tokenizer_kind")
        tokenizer = kind.remake(config.tokenizer, "tokenizer")
        recipe = self.recipe(config.recipe, "recipe")
        sizes = len(config.state), len(config.action)
        return _network(recipe, tokenizer, config.cameras, sizes, config.tasks)

    def trainee(
        self,
        network: FasterPolicyNetwork,
        recipe: FasterRecipe,
        samples: Samples,
        rollout: Rollout | None,
    ) -> FasterTrainee:
        """Return the trainee for the training loop."""
        return FasterTrainee(network, recipe, samples, rollout)


def vocabulary(instructions: tuple[str, ...]) -> Words:
    """Return the vocabulary of a policy that was trained on some instructions."""
    return words_of((*instructions, "Task:, State:;\nAction: "), BINS)


def _network(
    recipe: FasterRecipe,
    tokenizer: NumbersTokenizer,
    cameras: tuple[str, ...],
    sizes: tuple[int, int],
    instructions: tuple[str, ...],
) -> FasterPolicyNetwork:
    words = vocabulary(instructions)
    prompts = WordPrompts(words, recipe.prompt_tokens, sizes[0])
    backbone = TinyBackbone(
        TinyBackboneConfig(
            len(cameras),
            recipe.image_encoder.crop_px,
            len(words),
            image_tokens=recipe.image_tokens,
            width=recipe.width,
            layers=recipe.layers,
            heads=recipe.heads,
            kv_heads=recipe.kv_heads,
            hidden=recipe.hidden,
        )
    )
    chunk = tokenizer.chunk_tokens
    expert = ExpertConfig(
        chunk.codes,
        chunk.tokens,
        recipe.block or chunk.together,
        recipe.expert_width,
        recipe.expert_hidden,
        levels=recipe.tables or chunk.levels,
    )
    vla = FasterVla(backbone, expert)
    committed = min(recipe.committed_steps, tokenizer.config.horizon)
    return FasterPolicyNetwork(cameras, vla, tokenizer, prompts, instructions, sizes, committed)


@torch.no_grad()
def _spread_numbers(network: FasterPolicyNetwork) -> None:
    """Let the embeddings of numbers begin as waves of their value, so that near ones are alike."""
    backbone = network.vla.backbone
    assert isinstance(backbone, TinyBackbone)
    table = backbone.text.weight
    first = network.prompts.words.tokens("0")[0]
    values = torch.linspace(0.0, 1.0, BINS)
    waves = 0.5 * 2.0 ** torch.linspace(0.0, 5.0, table.shape[1] // 2)  # turns over the range
    angles = 2.0 * np.pi * values[:, None] * waves
    part = torch.cat((angles.sin(), angles.cos()), dim=1)
    table[first : first + BINS, : part.shape[1]] = _INIT_STD * part
