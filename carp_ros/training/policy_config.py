"""The configuration that a policy's training stores in its folder, and later in `network.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from carp_ros.inference.layout import TOOL_NAMES, TOOL_UNITS, VectorLayout
from carp_ros.inference.policy_spec import ObservationSpec
from carp_ros.rig_sections import RigName
from carp_ros.strict import Between, Name, Sized, read_strictly

RecipeType = TypeVar("RecipeType")

_Pixels = Annotated[int, Between(1, 16384)]


@dataclass(frozen=True)
class PolicyConfig:
    """Everything needed to rebuild the network and to write its bundle.

    Attributes:
        kind: Of training.
        policy: Kind of policy, see `carp_ros.training.families`.
        tokenizer_kind: Kind of tokenizer, see `carp_ros.training.tokenizer_kinds`.
        cameras: Names of the dataset's cameras; they become part of file names.
        tasks: Names, by index.
        tokenizer: The tokenizer's configuration, parsed by its kind; None for a kind of policy
            without one.
        recipe: Recipe of the policy, parsed by its kind.
        rig: Of the dataset.
        step_s: Time between two actions.
        state, action: Meaning and ranges of the dataset's numbers.
        observation: Observation settings of the dataset.
        dataset_px: Width and height of the dataset's images by camera, if `carp convert` resized
            them.
    """

    kind: Literal["policy"]
    cameras: Annotated[tuple[Name, ...], Sized(0, 16)]
    tasks: Annotated[tuple[Annotated[str, Sized(1, 200)], ...], Sized(1, 1000)]
    tokenizer: dict[str, Any] | None
    recipe: dict[str, Any]
    rig: RigName
    step_s: Annotated[float, Between(1e-3, 10.0)]
    state: VectorLayout
    action: VectorLayout
    policy: Name = "carp"
    tokenizer_kind: Name = "carp"
    observation: ObservationSpec = field(default_factory=ObservationSpec)
    dataset_px: dict[Name, tuple[_Pixels, _Pixels]] = field(default_factory=dict)


def read_policy_config(config: Mapping[str, Any], where: str) -> PolicyConfig:
    """Parse the configuration of a policy's training; other keys are ignored.

    Args:
        config: Parsed JSON.
        where: Prefix of error messages: a folder.

    Raises:
        ValueError: If a key is missing or a value is invalid.
    """
    if config.get("kind") != "policy":
        raise ValueError(f"{where} holds a {config.get('kind')}; expected a policy's training")
    names = [item.name for item in dataclasses.fields(PolicyConfig)]
    known = {name: config[name] for name in names if name in config}
    ranges = config.get("ranges")
    if isinstance(ranges, Mapping):  # an older format, which had only one layout
        known = {**_tool_layouts(ranges), **known}
    return read_strictly(PolicyConfig, known, where)


def _tool_layouts(ranges: Mapping[str, Any]) -> dict[str, Any]:
    facts = {"kind": "tool", "names": list(TOOL_NAMES), "units": list(TOOL_UNITS)}
    return {
        what: {**facts, **{end: ranges.get(f"{what}_{end}") for end in ("low", "high")}}
        for what in ("state", "action")
    }


def checked(recipe: RecipeType, where: str) -> RecipeType:
    """Return a recipe unchanged if it would survive being written to and read from its folder.

    Raises:
        ValueError: If one of its numbers is out of range.
    """
    assert dataclasses.is_dataclass(recipe)
    assert not isinstance(recipe, type)
    return read_strictly(type(recipe), json.loads(json.dumps(dataclasses.asdict(recipe))), where)
