"""Networks from recipes and datasets, and back from the folders of their trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carp_ros.networks.action_tokenizer import ActionConfig, ActionTokenizer
from carp_ros.networks.carp_policy import CarpPolicyNetwork, EyesConfig, condition_size
from carp_ros.networks.carp_transformer import TransformerConfig
from carp_ros.networks.weights import network_with, require_weights
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.refusal import refusing
from carp_ros.strict import read_strictly
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.policy_config import read_policy_config
from carp_ros.training.presets import PolicyRecipe
from carp_ros.training.run_folder import read_weights
from carp_ros.training.windows import Windows

_TOKENIZER = "tokenizer."  # before the names of its weights in a policy


def make_tokenizer(
    config: ActionConfig, noise: StateNoise, data: Windows, seed: int
) -> ActionTokenizer:
    """Return a tokenizer with its initial weights, fitted to the actions of a dataset.

    Args:
        config: What it is given, and its sizes.
        noise: Of the states in training.
        data: The dataset's windows.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    network = ActionTokenizer(config)
    states = noise.moved(data.states, np.random.default_rng(seed))
    network.fit(torch.from_numpy(data.actions), torch.from_numpy(states))
    return network


def load_tokenizer(folder: Path) -> ActionTokenizer:
    """Return the tokenizer that `carp train tokenizer` left in a folder, or that of a policy.

    Args:
        folder: Of a training of either, or of a bundle.

    Raises:
        ValueError: If the folder holds none.
    """
    config, weights = read_weights(folder)
    key = {"tokenizer": "network", "policy": "tokenizer"}.get(str(config.get("kind")))
    if key is None or key not in config:
        raise ValueError(
            f"{folder} holds a {config.get('kind')}; expected a tokenizer's or a policy's training"
        )
    if key == "tokenizer":
        weights = {
            name.removeprefix(_TOKENIZER): value
            for name, value in weights.items()
            if name.startswith(_TOKENIZER)
        }
    with refusing(ValueError, str(folder)):
        size = read_strictly(ActionConfig, config[key], f"{folder}: {key}")
        return network_with(lambda: ActionTokenizer(size), weights, str(folder)).eval()


def make_policy(
    recipe: PolicyRecipe,
    tokenizer: ActionTokenizer,
    cameras: tuple[str, ...],
    data: Windows,
    seed: int,
) -> CarpPolicyNetwork:
    """Return a policy with its initial weights, fitted to the states of a dataset.

    Args:
        recipe: Its sizes.
        tokenizer: Trained.
        cameras: Of the dataset; those of a recipe without eyes are not looked at.
        data: The dataset's windows.
        seed: Of the weights.
    """
    torch.manual_seed(seed)
    network = _policy(recipe, tokenizer, cameras, data.states.shape[1], len(data.task_names))
    states = torch.from_numpy(data.states)
    rot6d = torch.tensor(data.state.is_rotation)
    network.state_scaling.fit(states.amin(0), states.amax(0), rot6d)
    return network


def policy_config(
    recipe: PolicyRecipe,
    tokenizer: ActionTokenizer,
    reader: DatasetReader,
    data: Windows,
    demonstrations: int,
    seed: int,
) -> dict[str, Any]:
    """Return all that a policy and its bundle must be made of again, for its training's folder.

    Args:
        recipe: How it is made.
        tokenizer: Trained.
        reader: The dataset.
        data: The dataset's windows.
        demonstrations: Of each task, as many were trained on; 0 for all.
        seed: Of weights, order and augmentation.
    """
    spec = reader.spec
    layouts = {
        "state": (data.state, data.states.min(0), data.states.max(0)),
        "action": (data.action, data.actions.min((0, 1)), data.actions.max((0, 1))),
    }
    return {
        "kind": "policy",
        "dataset": reader.root.name,
        "demonstrations": demonstrations or len(reader.episodes),
        "seed": seed,
        "rig": spec.rig,
        "step_s": 1.0 / spec.rate_hz,
        "cameras": list(spec.cameras),
        "observation": {"reference": spec.reference, "skew_s": spec.skew_s},
        "dataset_px": {name: list(px) for name, px in spec.cameras.items() if spec.resized},
        "tasks": list(data.task_names),
        **{
            name: dataclasses.asdict(layout.spanning(low.tolist(), high.tolist()))
            for name, (layout, low, high) in layouts.items()
        },
        "tokenizer": dataclasses.asdict(tokenizer.config),
        "recipe": dataclasses.asdict(recipe),
    }


def start_from(network: CarpPolicyNetwork, folder: Path, tasks: Sequence[str]) -> None:
    """Give a policy the weights of an earlier training, to go on with other data or another course.

    A policy of one task can go on from one of several, this among them: it begins as what that one
    is when told to do the task.

    Args:
        network: Of the same sizes, cameras and tokenizer.
        folder: Of the earlier training, or of a bundle.
        tasks: Of the network, by index.

    Raises:
        ValueError: If there is none, or it is of another network or of other tasks.
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


def _of_one_task(weights: dict[str, Tensor], task: int) -> dict[str, Tensor]:
    """Return the weights of the policy that one of several tasks is, when it is told this task.

    What the task's embedding adds to the condition is constant, and so becomes part of the bias.
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


def load_network(folder: Path) -> tuple[CarpPolicyNetwork, PolicyRecipe, dict[str, Any]]:
    """Return the policy that `carp train policy` left in a folder, its recipe and what it is of.

    Raises:
        ValueError: If the folder holds none.
    """
    content, weights = read_weights(folder)
    with refusing(ValueError, str(folder)):
        config = read_policy_config(content, str(folder))

        def make() -> CarpPolicyNetwork:
            tokenizer = ActionTokenizer(config.tokenizer)
            return _policy(
                config.recipe, tokenizer, config.cameras, len(config.state), len(config.tasks)
            )

        network = network_with(make, weights, str(folder))
    return network.eval(), config.recipe, content


def _policy(
    recipe: PolicyRecipe,
    tokenizer: ActionTokenizer,
    cameras: tuple[str, ...],
    state_size: int,
    tasks: int,
) -> CarpPolicyNetwork:
    vq = tokenizer.vq.config
    seen = cameras if recipe.eyes else ()
    eyes = recipe.eyes or EyesConfig()
    transformer = TransformerConfig(
        recipe.fusion or condition_size(seen, eyes, state_size),
        vq.groups,
        vq.scales,
        vq.codes,
        vq.code_width,
        recipe.width,
        recipe.depth,
        recipe.heads,
        tasks=tasks if tasks > 1 else 0,
        drop_path=recipe.drop_path,
    )
    return CarpPolicyNetwork(
        seen, eyes, state_size, tokenizer, transformer, recipe.fusion, recipe.sharpness
    )
