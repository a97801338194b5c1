"""The interface of a kind of policy to training; each kind implements it in its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.image_store import ImageStore
from carp_ros.training.loop import LoopConfig, Trainee
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.windows import Indices, Windows

Rollout = Callable[[Any], dict[str, float]]
"""Takes a network with averaged weights; returns metrics of its rollouts."""


class Recipe(Protocol):
    """What the recipes of all kinds have in common."""

    @property
    def image_encoder(self) -> ImageEncoderConfig | None:
        """The image encoder; None for a state-only policy."""
        ...

    @property
    def loop(self) -> LoopConfig:
        """Settings of the training loop."""
        ...

    @property
    def noise(self) -> StateNoise:
        """Noise on the states in training."""
        ...

    @property
    def jitter(self) -> ColourJitter:
        """Colour jitter of the images in training."""
        ...


@dataclass(frozen=True)
class Samples:
    """The data of a policy's training.

    Attributes:
        data: The dataset's windows.
        images: The dataset's images; none for a state-only policy.
        trained: Windows to train on.
        held_out: Windows to validate on.
    """

    data: Windows
    images: ImageStore
    trained: Indices
    held_out: Indices


class Family(Protocol):
    """One kind of policy."""

    @property
    def kind(self) -> str:
        """Its name, in commands and manifests."""
        ...

    @property
    def presets(self) -> Mapping[str, Any]:
        """Recipes by name."""
        ...

    @property
    def tokenizer_kinds(self) -> tuple[str, ...]:
        """Kinds of action tokenizer, of which it needs a trained one; empty for none."""
        ...

    @property
    def by_instruction(self) -> bool:
        """Whether its tasks are the instructions of the episodes, not their short names."""
        ...

    def recipe(self, content: Mapping[str, Any], where: str) -> Any:
        """Parse a recipe from JSON; raise ValueError, beginning with `where`, if it is invalid."""
        ...

    def horizon(self, recipe: Any, tokenizer: TokenizerNetwork | None) -> int:
        """Return how many steps a chunk has."""
        ...

    def make(
        self,
        recipe: Any,
        tokenizer: TokenizerNetwork | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> nn.Module:
        """Return an untrained network, with its scaling fitted to a dataset."""
        ...

    def remake(self, config: PolicyConfig) -> nn.Module:
        """Return an untrained network of a training's configuration, for loading weights into."""
        ...

    def trainee(
        self, network: Any, recipe: Any, samples: Samples, rollout: Rollout | None
    ) -> Trainee:
        """Return the trainee for the training loop."""
        ...
