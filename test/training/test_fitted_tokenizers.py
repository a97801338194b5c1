"""Tests for training/fitted_tokenizers.py: tokenizers that learn nothing by gradients."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")
pytest.importorskip("tokenizers", reason="FAST needs it: pip install 'carp_ros[train]'")

from carp_ros.inference.layout import Layout  # noqa: E402
from carp_ros.networks.fast_tokenizer import FastTokenizer  # noqa: E402
from carp_ros.strict import read_strictly  # noqa: E402
from carp_ros.training.augmentation import StateNoise  # noqa: E402
from carp_ros.training.build import load_tokenizer  # noqa: E402
from carp_ros.training.faster_tokenizer import FasterTokenizerKind  # noqa: E402
from carp_ros.training.loop import train  # noqa: E402
from carp_ros.training.run_folder import RunFolder  # noqa: E402
from carp_ros.training.tokenizer import TokenizerTrainee  # noqa: E402
from carp_ros.training.tokenizer_kinds import TOKENIZER_KINDS  # noqa: E402

from .straight_moves import moves  # noqa: E402

KINDS = [TOKENIZER_KINDS[kind] for kind in ("fast", "binning")]
FREE = Layout("free", ("x", "y", "theta"), ("m", "m", "rad"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_recipe_is_read_back_from_json_as_it_was(kind):
    for recipe in kind.presets.values():
        content = json.loads(json.dumps(dataclasses.asdict(recipe)))
        assert read_strictly(type(recipe), content, "config.json") == recipe
        assert kind.remake(content["network"], "config.json").config == recipe.network


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_layouts_without_a_tool_are_tokenized_as_they_are(kind):
    data = moves(64, 0)
    flat = dataclasses.replace(data, actions=data.actions[..., :3], action=FREE)
    network = kind.make(kind.presets["paper"], flat, 0)
    assert (network.config.dimensions, network.config.tool) == (3, False)
    assert network.names(FREE.names) == FREE.names
    actions, states = torch.from_numpy(flat.actions), torch.from_numpy(flat.states)
    back = network.decode(network.tokenize(actions, states), states)
    assert (back - actions).abs().mean() < 0.02


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_without_weights_to_train_it_is_saved_as_it_is(kind, tmp_path):
    data = moves(128, 0)
    recipe = kind.presets["cpu-small"]
    network = kind.make(recipe, data, 0)
    made = dataclasses.asdict(dataclasses.replace(recipe, network=network.config))
    config = {"kind": "tokenizer", "tokenizer_kind": kind.kind, **made}
    trainee = TokenizerTrainee(network, data, np.arange(120), np.arange(120, 128), recipe.noise)
    for _ in range(2):  # again, it stays
        folder = RunFolder(tmp_path / "run", config)
        train(trainee, recipe.loop, folder)
        (row,) = folder.figures()
    assert row["epoch"] == 0
    assert 0.0 < row["held_out_error"] < 0.1
    assert row["changes_kept"] == 1.0
    assert 0.0 < row["codes_used"] <= 1.0
    loaded = load_tokenizer(tmp_path / "run", kind.kind)
    actions, states = torch.from_numpy(data.actions), torch.from_numpy(data.states)
    tokens = network.tokenize(actions, states)
    assert torch.equal(loaded.tokenize(actions, states), tokens)
    assert torch.equal(loaded.decode(tokens, states), network.decode(tokens, states))


def test_fast_takes_fewer_tokens_than_bins_and_no_fixed_number_of_them():
    data, held_out = moves(1024, 0), moves(128, 1)
    states, actions = torch.from_numpy(held_out.states), torch.from_numpy(held_out.actions)
    fast, bins = (kind.make(kind.presets["paper"], data, 0) for kind in KINDS)
    faster = FasterTokenizerKind.presets["tiny"].network
    lengths = fast.lengths(fast.tokenize(actions, states)).float()
    assert lengths.mean() < 0.5 * bins.config.tokens
    assert lengths.std() > 0.0
    assert lengths.max() > faster.tokens == 21


def test_cut_at_the_tokens_of_faster_fast_is_less_exact():
    data, held_out = moves(1024, 0), moves(128, 1)
    noise = np.random.default_rng(2).normal(0.0, 0.01, (1024 + 128, 16, 3)).astype(np.float32)
    data.actions[..., :3] += noise[:1024]  # high frequencies, FAST's worst case
    held_out.actions[..., :3] += noise[1024:]
    states, actions = torch.from_numpy(held_out.states), torch.from_numpy(held_out.actions)
    (kind, _) = KINDS
    recipe = dataclasses.replace(kind.presets["paper"], noise=StateNoise())
    errors = {}
    for most in (0, 21):
        network = dataclasses.replace(recipe.network, most_tokens=most)
        tokenizer = kind.make(dataclasses.replace(recipe, network=network), data, 0)
        assert isinstance(tokenizer, FastTokenizer)
        found = tokenizer.errors(tokenizer.normalised(actions, states))
        errors[most] = found["error"]
        assert found["tokens_most"] <= (most or 10_000)
    assert errors[21] > 1.2 * errors[0]
