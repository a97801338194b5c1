"""Makes networks from recipes and datasets, and loads them from training folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from carp_ros.networks.weights import network_with, require_weights
from carp_ros.recording.demonstrations import Demonstrations
from carp_ros.refusal import refusing
from carp_ros.training.families import family_named
from carp_ros.training.family import Family
from carp_ros.training.policy_config import PolicyConfig, read_policy_config
from carp_ros.training.run_folder import read_weights
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.tokenizer_kinds import tokenizer_kind_named
from carp_ros.training.windows import Windows

_TOKENIZER = "tokenizer."  # prefix of its weights' names in a policy
_SKETCH = "sketch."  # likewise, of what only some policies have


def load_tokenizer(folder: Path, *kinds: str) -> Any:
    """Load a tokenizer from the folder of a tokenizer's or a policy's training, or from a bundle.

    Args:
        folder: Of the training or bundle.
        kinds: Of tokenizer that are expected, see `tokenizer_kinds`; `carp` if none is named.

    Raises:
        ValueError: If the folder holds no tokenizer, or one of another kind.
    """
    config, weights = read_weights(folder)
    key = {"tokenizer": "network", "policy": "tokenizer"}.get(str(config.get("kind")))
    if key is None or not isinstance(config.get(key), dict):
        raise ValueError(
            f"{folder} holds a {config.get('kind')}; expected a tokenizer's or a policy's training"
        )
    made = config.get("tokenizer_kind", "carp")
    kinds = kinds or ("carp",)
    if made not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise ValueError(f"{folder} holds a tokenizer of kind {made!r}; expected {expected}")
    if key == "tokenizer":
        weights = {
            name.removeprefix(_TOKENIZER): value
            for name, value in weights.items()
            if name.startswith(_TOKENIZER)
        }
    known = tokenizer_kind_named(made, str(folder))
    with refusing(ValueError, str(folder)):
        where = f"{folder}: {key}"
        return network_with(lambda: known.remake(config[key], where), weights, str(folder)).eval()


def policy_config(
    family: Family,
    recipe: Any,
    tokenizer: TokenizerNetwork | None,
    dataset: Demonstrations,
    data: Windows,
    demonstrations: int,
    seed: int,
) -> dict[str, Any]:
    """Return everything needed to rebuild a policy and to write its bundle, for `config.json`.

    Args:
        family: Its kind.
        recipe: Its recipe.
        tokenizer: Already trained; None for a kind without one.
        dataset: The training dataset.
        data: The dataset's windows.
        demonstrations: Number trained on per task; 0 for all.
        seed: Of weights, order and augmentation.
    """
    layouts = {
        "state": (data.state, data.states.min(0), data.states.max(0)),
        "action": (data.action, data.actions.min((0, 1)), data.actions.max((0, 1))),
    }
    return {
        "kind": "policy",
        "policy": family.kind,
        "dataset": dataset.root.name,
        "demonstrations": demonstrations or len(np.unique(data.episodes)),
        "seed": seed,
        "rig": dataset.rig,
        "step_s": dataset.step_s,
        "cameras": list(dataset.cameras),
        "observation": dataclasses.asdict(dataset.observation),
        "dataset_px": {name: list(px) for name, px in dataset.dataset_px.items()},
        "tasks": list(data.task_names),
        **{
            name: dataclasses.asdict(layout.spanning(low.tolist(), high.tolist()))
            for name, (layout, low, high) in layouts.items()
        },
        "tokenizer": dataclasses.asdict(tokenizer.config) if tokenizer else None,
        "tokenizer_kind": tokenizer.kind if tokenizer else "carp",
        "recipe": dataclasses.asdict(recipe),
    }


def start_from(network: nn.Module, folder: Path, tasks: Sequence[str]) -> None:
    """Initialise a policy with the weights of an earlier training.

    A policy of one task can start from one of several tasks that include it: initially it behaves
    as the earlier policy does for that task. A policy that is told what the arm is committed to can
    start from one that is not, and initially takes no notice.

    Args:
        network: With the same sizes, cameras and tokenizer as the earlier one.
        folder: Of the earlier training, or of a bundle.
        tasks: Of the network, by index.

    Raises:
        ValueError: If the folder holds no policy, or one of another network or other tasks.
    """
    config, weights = read_weights(folder)
    earlier = config.get("tasks")
    if not isinstance(earlier, list) or not all(isinstance(task, str) for task in earlier):
        raise ValueError(f"{folder} holds a {config.get('kind')}; expected a policy's training")
    if len(tasks) == 1 and len(earlier) > 1:
        if tasks[0] not in earlier:
            raise ValueError(
                f"{folder} was trained on {', '.join(earlier)}; expected {tasks[0]} among them"
            )
        with refusing(ValueError, str(folder)):
            weights = _of_one_task(weights, earlier.index(tasks[0]))
    own = network.state_dict()
    weights = _with_own_sketch(_told_nothing(weights, own), own)
    of_shape = {name: tuple(value.shape) for name, value in own.items()}
    if of_shape != {name: tuple(value.shape) for name, value in weights.items()}:
        changed = [name for name in {**own, **weights} if not _alike(own, weights, name)]
        raise ValueError(
            f"{folder} holds a network that differs in {', '.join(changed[:3])}; expected the same"
            " sizes, cameras and number of tasks as asked for here"
        )
    require_weights(own, weights, str(folder))
    if any(not own[name].equal(weights[name]) for name in own if name.startswith(_TOKENIZER)):
        raise ValueError(
            f"{folder} was trained with another tokenizer, and its tokens mean something else;"
            " give that one with --tokenizer"
        )
    network.load_state_dict(weights)


def _told_nothing(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a policy's weights for a network that is also told what the arm is committed to.

    That input comes last and has no weight at first, so that both networks do the same.
    """
    name = "fusion.0.weight"
    if name not in weights or name not in own:
        return weights
    missing = own[name].shape[1] - weights[name].shape[1]
    if missing <= 0:
        return weights
    return {**weights, name: functional.pad(weights[name], (0, missing))}


def _with_own_sketch(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a policy's weights with those of a sketch if the network makes one.

    At first it hints at nothing, so that both networks do the same.
    """
    kept = {name: value for name, value in weights.items() if not name.startswith(_SKETCH)}
    sketch = {name: value for name, value in own.items() if name.startswith(_SKETCH)}
    there = {name: weights[name] for name in sketch if _alike(weights, own, name)}
    return kept | sketch | there


def _of_one_task(weights: dict[str, Tensor], task: int) -> dict[str, Tensor]:
    """Return the weights of a single-task policy equal to a multi-task policy on one task.

    The task embedding's contribution to the condition is then constant and goes into the bias.
    """
    to_condition, bias = "transformer.to_condition.weight", "transformer.to_condition.bias"
    weights = dict(weights)
    embedding = weights.pop("transformer.task_embedding.weight")[task]
    features = weights[to_condition].shape[1] - len(embedding)
    of_features, of_task = weights[to_condition].split([features, len(embedding)], dim=1)
    weights[to_condition] = of_features.contiguous()
    weights[bias] = weights[bias] + of_task @ embedding
    return weights


def _alike(a: dict[str, Any], b: dict[str, Any], name: str) -> bool:
    return name in a and name in b and a[name].shape == b[name].shape


def load_network(folder: Path) -> tuple[nn.Module, PolicyConfig, dict[str, Any]]:
    """Load the policy that `carp train policy` wrote to a folder, and its configuration.

    Returns:
        The network, its configuration, and the whole content of the configuration's JSON.

    Raises:
        ValueError: If the folder holds no policy.
    """
    content, weights = read_weights(folder)
    with refusing(ValueError, str(folder)):
        config = read_policy_config(content, str(folder))
        family = family_named(config.policy, str(folder))
        network = network_with(lambda: family.remake(config), weights, str(folder))
    return network.eval(), config, content
