"""What a policy's training says of itself in its folder, and later in `network.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from carp_ros.inference.layout import NAMES
from carp_ros.networks.action_tokenizer import ActionConfig
from carp_ros.strict import Between, Name, Sized, read_strictly
from carp_ros.training.presets import PolicyRecipe

Recipe = TypeVar("Recipe")

_Vector = Annotated[tuple[float, ...], Sized(len(NAMES), len(NAMES))]


@dataclass(frozen=True)
class Ranges:
    """Least and greatest states and actions of the dataset, of each of the 10 numbers."""

    state_low: _Vector
    state_high: _Vector
    action_low: _Vector
    action_high: _Vector


@dataclass(frozen=True)
class PolicyConfig:
    """What the network is made of again, and what its bundle says.

    Attributes:
        kind: Of training.
        cameras: Names of those that the dataset has, which become part of file names.
        tasks: Names, by index.
        tokenizer: What is tokenized.
        recipe: How the policy was made.
        rig: Of the dataset.
        step_s: Between two actions.
        ranges: Of states and actions.
    """

    kind: Literal["policy"]
    cameras: Annotated[tuple[Name, ...], Sized(0, 16)]
    tasks: Annotated[tuple[Annotated[str, Sized(1, 200)], ...], Sized(1, 1000)]
    tokenizer: ActionConfig
    recipe: PolicyRecipe
    rig: Annotated[str, Sized(1, 200)]
    step_s: Annotated[float, Between(1e-3, 10.0)]
    ranges: Ranges


def read_policy_config(config: Mapping[str, Any], where: str) -> PolicyConfig:
    """Return the configuration of a policy's training; what else stands there is left alone.

    Args:
        config: As JSON has it.
        where: Begins the message of an error: a folder.

    Raises:
        ValueError: If a key is missing, or a value can't be.
    """
    if config.get("kind") != "policy":
        raise ValueError(f"{where} holds a {config.get('kind')}; expected a policy's training")
    names = [item.name for item in dataclasses.fields(PolicyConfig)]
    known = {name: config[name] for name in names if name in config}
    return read_strictly(PolicyConfig, known, where)


def checked(recipe: Recipe, where: str) -> Recipe:
    """Return a recipe that a command put together, if it could be read back from its folder.

    Raises:
        ValueError: If a number of it is out of its range.
    """
    assert dataclasses.is_dataclass(recipe)
    assert not isinstance(recipe, type)
    return read_strictly(type(recipe), json.loads(json.dumps(dataclasses.asdict(recipe))), where)
