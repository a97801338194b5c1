import dataclasses
import json

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.networks.action_tokenizer import ActionConfig  # noqa: E402
from carp_ros.strict import read_strictly  # noqa: E402
from carp_ros.training.presets import POLICIES, TOKENIZERS, PolicyRecipe  # noqa: E402


@pytest.mark.parametrize("name", POLICIES)
def test_a_recipe_is_read_back_from_json_as_it_was(name):
    recipe = POLICIES[name]
    content = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert read_strictly(PolicyRecipe, content, "config.json") == recipe


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_tokenized_is_read_back_from_json_as_it_was(name):
    config = TOKENIZERS[name].network
    content = json.loads(json.dumps(dataclasses.asdict(config)))
    assert read_strictly(ActionConfig, content, "config.json") == config
