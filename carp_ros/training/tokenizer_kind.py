"""The interface of a kind of action tokenizer to training, as `family` is for policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from carp_ros.networks.scaling import Scaling
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.loop import LoopConfig
from carp_ros.training.windows import Windows


class TokenizerNetwork(Protocol):
    """Turns absolute actions in SI units into tokens and back; an `nn.Module`."""

    @property
    def kind(self) -> str:
        """Its kind's name."""
        ...

    @property
    def config(self) -> Any:
        """Representation of actions and sizes, a dataclass."""
        ...

    @property
    def scaling(self) -> Scaling:
        """Of the numbers that are tokenized."""
        ...

    def names(self, action: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the numbers that are tokenized, given those of an action."""
        ...

    def normalised(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the network's input for actions (B, H, D), given measured states (B, S)."""
        ...

    def losses(self, normalised: Tensor) -> dict[str, Tensor]:
        """Return `loss`, to minimise, and its parts; in training mode, update the codes."""
        ...

    def errors(self, normalised: Tensor) -> dict[str, float]:
        """Return errors of held-out actions after coding and decoding, and how codes are used."""
        ...


class TokenizerRecipe(Protocol):
    """What the recipes of all kinds have in common; a dataclass."""

    @property
    def network(self) -> Any:
        """Representation of actions and sizes, a dataclass with `horizon`, the steps of a chunk."""
        ...

    @property
    def loop(self) -> LoopConfig:
        """Settings of the training loop."""
        ...

    @property
    def noise(self) -> StateNoise:
        """Noise on the states that actions are relative to."""
        ...


class TokenizerKind(Protocol):
    """One kind of tokenizer."""

    @property
    def kind(self) -> str:
        """Its name, in commands and files."""
        ...

    @property
    def presets(self) -> Mapping[str, Any]:
        """Recipes by name."""
        ...

    def make(self, recipe: Any, data: Windows, seed: int) -> Any:
        """Return an untrained network, with its scaling fitted to a dataset.

        One without weights to train is complete: `loop.train` only validates and saves it.
        """
        ...

    def remake(self, config: Mapping[str, Any], where: str) -> Any:
        """Return the network of a training's configuration, for loading weights into."""
        ...
