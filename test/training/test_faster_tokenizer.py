"""Tests for training/faster_tokenizer.py: FASTerVQ learns chunks of actions."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.inference.layout import Layout  # noqa: E402
from carp_ros.networks.faster_actions import FasterActionConfig  # noqa: E402
from carp_ros.strict import read_strictly  # noqa: E402
from carp_ros.training.augmentation import StateNoise  # noqa: E402
from carp_ros.training.faster_tokenizer import FasterTokenizerKind, config_for  # noqa: E402
from carp_ros.training.tokenizer import TokenizerTrainee  # noqa: E402
from carp_ros.training.tokenizer_kinds import TOKENIZER_KINDS, tokenizer_kind_named  # noqa: E402

from .straight_moves import moves  # noqa: E402

KIND = FasterTokenizerKind()


@pytest.mark.parametrize("name", KIND.presets)
def test_a_configuration_is_read_back_from_json_as_it_was(name):
    config = KIND.presets[name].network
    content = json.loads(json.dumps(dataclasses.asdict(config)))
    assert read_strictly(FasterActionConfig, content, "config.json") == config
    assert KIND.remake(content, "config.json").config == config


def test_kinds_are_a_closed_table():
    assert list(TOKENIZER_KINDS) == ["carp", "faster", "fast", "binning"]
    with pytest.raises(ValueError, match="run: tokenizer is 'vq'; expected carp, faster, fast, bi"):
        tokenizer_kind_named("vq", "run")


@pytest.mark.parametrize(
    ("kind", "names", "groups", "gripper"),
    [
        ("joints", (*(f"joint {i}" for i in range(1, 8)), "gripper"), (4, 3, 1), "rule"),
        ("free", ("x", "y", "theta"), (1, 1, 1), "vq"),
    ],
)
def test_layouts_without_a_tool_get_groups_of_their_own(kind, names, groups, gripper):
    units = (*["rad"] * (len(names) - 1), "1")
    data = dataclasses.replace(moves(8, 0), action=Layout(kind, names, units))
    fitted = config_for(KIND.presets["tiny"].network, data)
    assert (fitted.tool, fitted.vq.groups, fitted.gripper) == (False, groups, gripper)


def test_codes_begin_where_a_datasets_actions_are():
    data = moves(512, 0)
    network = KIND.make(KIND.presets["tiny"], data, 0)
    states, actions = torch.from_numpy(data.states), torch.from_numpy(data.actions)
    errors = network.eval().errors(network.normalised(actions, states))
    assert min(errors[f"codes_used_{level}"] for level in range(3)) > 0.5


def test_it_learns_and_each_level_makes_it_more_exact():
    torch.set_num_threads(1)
    data, held_out = moves(2048, 0), moves(256, 1)
    recipe = dataclasses.replace(KIND.presets["tiny"], noise=StateNoise())
    network = KIND.make(recipe, data, 0)
    trainee = TokenizerTrainee(network, data, np.arange(2048), np.arange(256), StateNoise())
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    network.train()
    for _ in range(300):
        optimizer.zero_grad()
        trainee.losses(trainee.inputs(rng.integers(0, 2048, 64), rng))["loss"].backward()
        optimizer.step()
        schedule.step()
    network.eval()
    states, actions = torch.from_numpy(held_out.states), torch.from_numpy(held_out.actions)
    with torch.no_grad():
        normalised = network.normalised(actions, states)
        errors = network.errors(normalised)
        tokens = network.tokens_of(normalised)
        by_levels = [
            float((network.decode_normalised(tokens[:, : 7 * n]) - normalised).abs().mean())
            for n in (1, 2, 3)
        ]
    assert by_levels[0] > by_levels[1] > by_levels[2]
    assert errors["error"] < 0.1
    assert errors["changes_kept"] == 1.0  # by the rule
    assert min(errors[f"codes_used_{level}"] for level in range(3)) > 0.5
