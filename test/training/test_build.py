import dataclasses
import json

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.networks.action_tokenizer import ActionConfig  # noqa: E402
from carp_ros.strict import read_strictly  # noqa: E402
from carp_ros.training.build import start_from  # noqa: E402
from carp_ros.training.presets import POLICIES, TOKENIZERS, PolicyRecipe  # noqa: E402
from carp_ros.training.run_folder import RunFolder  # noqa: E402

from .small_world import EYES, make_network, make_world  # noqa: E402


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


@pytest.fixture
def earlier(tmp_path):
    """Return the folder of a training, and its network."""
    data, _ = make_world()
    network = make_network(data, seed=0)
    return _trained(network, tmp_path, data.task_names), network


def _trained(network, folder, tasks):
    """Leave a network with other weights than its initial ones in the folder of a training."""
    with torch.no_grad():
        network.transformer.head.weight.add_(1.0)
    RunFolder(folder, {"kind": "policy", "tasks": list(tasks)}).save({}, network.state_dict())
    return folder


def test_a_training_begins_with_the_weights_of_another(earlier):
    folder, network = earlier
    later = make_network(make_world()[0], seed=0)
    start_from(later, folder, ["cup"])
    for name, value in network.state_dict().items():
        torch.testing.assert_close(later.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("count", [0, 3])
def test_one_that_is_told_what_the_arm_is_committed_to_begins_as_one_that_is_not(earlier, count):
    folder, network = earlier
    data, _ = make_world()
    later = make_network(data, seed=0, committed=4)
    start_from(later, folder, ["cup"])
    states = torch.from_numpy(data.states[:5])
    images = {"cam": torch.rand(5, 3, 12, 16)}
    given = (torch.from_numpy(data.actions[:5, :4]), torch.full((5,), count))
    torch.testing.assert_close(
        later.condition(images, states, None, given), network.condition(images, states, None)
    )


def test_weights_of_another_tokenizer_are_refused(earlier):
    later = make_network(make_world()[0], seed=1)
    with pytest.raises(ValueError, match=r"another tokenizer, .* give that one with --tokenizer"):
        start_from(later, earlier[0], ["cup"])


def test_weights_of_another_network_are_refused_with_where_they_differ(earlier):
    later = make_network(make_world(tasks=2)[0], seed=0)
    with pytest.raises(ValueError, match=r"differs in transformer\.task_embedding.weight"):
        start_from(later, earlier[0], ["cup", "bowl"])


@pytest.mark.parametrize("task", [0, 1])
def test_a_policy_of_one_task_begins_as_what_one_of_several_does_for_it(tmp_path, task):
    several, _ = make_world(tasks=2)
    general = make_network(several, seed=0).eval()
    name = several.task_names[task]
    special = make_network(make_world()[0], seed=0).eval()
    start_from(special, _trained(general, tmp_path, several.task_names), [name])
    states = torch.from_numpy(several.states[:5])
    width, height = EYES.crop_px
    crops = {camera: torch.rand(5, 3, height, width) for camera in general.image_encoders}
    told = general.generate(general.condition(crops, states, torch.full((5,), task)))
    untold = special.generate(special.condition(crops, states, None))
    torch.testing.assert_close(untold.logits, told.logits)


def test_a_task_that_an_earlier_training_did_not_have_is_refused(tmp_path):
    several, _ = make_world(tasks=2)
    folder = _trained(make_network(several, seed=0), tmp_path, several.task_names)
    with pytest.raises(ValueError, match=r"was trained on .*; expected pour among them"):
        start_from(make_network(make_world()[0], seed=0), folder, ["pour"])
