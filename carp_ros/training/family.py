"""What training must know of a kind of policy; each kind has a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.image_store import ImageStore
from carp_ros.training.loop import LoopConfig, Trainee
from carp_ros.training.policy_config import PolicyConfig
from carp_ros.training.windows import Indices, Windows

Rollout = Callable[[Any], dict[str, float]]
"""Takes a network with averaged weights, and returns figures of it at work."""


class Recipe(Protocol):
    """What the recipes of all kinds say; each kind has more to say."""

    @property
    def image_encoder(self) -> ImageEncoderConfig | None:
        """The image encoders; None for a policy of the state alone."""
        ...

    @property
    def loop(self) -> LoopConfig:
        """How it is trained."""
        ...

    @property
    def noise(self) -> StateNoise:
        """Of the states in training."""
        ...

    @property
    def jitter(self) -> ColourJitter:
        """Of the images' colours in training."""
        ...


@dataclass(frozen=True)
class Samples:
    """What a policy is trained on.

    Attributes:
        data: The dataset's windows.
        images: The dataset's images; none for a policy of the state alone.
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
    def takes_tokenizer(self) -> bool:
        """Whether its actions are tokens, of a tokenizer that was trained before."""
        ...

    def recipe(self, content: Mapping[str, Any], where: str) -> Any:
        """Return a recipe that JSON holds; a wrong one is a ValueError that begins with `where`."""
        ...

    def horizon(self, recipe: Any, tokenizer: ActionTokenizer | None) -> int:
        """Return how many steps a chunk has."""
        ...

    def make(
        self,
        recipe: Any,
        tokenizer: ActionTokenizer | None,
        cameras: tuple[str, ...],
        data: Windows,
        seed: int,
    ) -> nn.Module:
        """Return a network with its initial weights, fitted to the numbers of a dataset."""
        ...

    def remake(self, config: PolicyConfig) -> nn.Module:
        """Return the network of a training, to be given its weights."""
        ...

    def trainee(
        self, network: Any, recipe: Any, samples: Samples, rollout: Rollout | None
    ) -> Trainee:
        """Return what the training loop trains."""
        ...
