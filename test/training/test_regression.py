"""Tests for training/regression.py: a regression learns, and its bundle says what it says."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.errors import PolicyError  # noqa: E402
from carp_ros.export.training_run import export_run  # noqa: E402
from carp_ros.inference.bundle import load_bundle  # noqa: E402
from carp_ros.inference.layout import Layout  # noqa: E402
from carp_ros.networks.regression_policy import RegressionConfig  # noqa: E402
from carp_ros.networks.vision import center_crop  # noqa: E402
from carp_ros.policies.load import load_policy  # noqa: E402
from carp_ros.training.device import training_device  # noqa: E402
from carp_ros.training.example import encoder_example, write_example  # noqa: E402
from carp_ros.training.family import Samples  # noqa: E402
from carp_ros.training.image_store import ImageStore  # noqa: E402
from carp_ros.training.loop import LoopConfig, train  # noqa: E402
from carp_ros.training.optimizer import OptimizerConfig  # noqa: E402
from carp_ros.training.regression import (  # noqa: E402
    REGRESSIONS,
    RegressionFamily,
    RegressionRecipe,
)
from carp_ros.training.run_folder import RunFolder  # noqa: E402
from carp_ros.types import Observation, Pose  # noqa: E402

from .small_world import EYES, HORIZON, make_world  # noqa: E402

FAMILY = RegressionFamily()
RECIPE = RegressionRecipe(
    RegressionConfig(horizon=HORIZON, width=64, depth=2),
    EYES,
    LoopConfig(60, 16, 60, optimizer=OptimizerConfig(3e-3), average=False),
)
CLOCK = lambda: 0  # noqa: E731


def trained(tmp_path, tasks=1, recipe=RECIPE, data=None):
    world, images = make_world(frames=64, tasks=tasks)
    data = data or world
    windows = np.arange(len(data))
    samples = Samples(
        data, ImageStore(images, EYES.crop_px, training_device()), windows[:-8], windows[-8:]
    )
    network = FAMILY.make(recipe, None, ("cam",), data, 0)
    spans = {
        "state": data.state.spanning(data.states.min(0).tolist(), data.states.max(0).tolist()),
        "action": data.action.spanning(
            data.actions.min((0, 1)).tolist(), data.actions.max((0, 1)).tolist()
        ),
    }
    config = {
        "kind": "policy",
        "policy": "regression",
        "rig": "ur5e_sim",
        "step_s": 0.1,
        "cameras": ["cam"],
        "tasks": list(data.task_names),
        "tokenizer": None,
        "recipe": dataclasses.asdict(recipe),
        **{name: dataclasses.asdict(layout) for name, layout in spans.items()},
        "observation": {"reference": "cam"},
    }
    folder = RunFolder(tmp_path / "run", json.loads(json.dumps(config)))
    write_example(folder.path, encoder_example(data, images, 3))
    train(FAMILY.trainee(network, recipe, samples, None), recipe.loop, folder)
    return folder, network, data, images


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_recipe_is_read_back_from_json_as_it_was(name):
    content = json.loads(json.dumps(dataclasses.asdict(REGRESSIONS[name])))
    assert FAMILY.recipe(content, "config.json") == REGRESSIONS[name]


def test_it_learns_where_the_spot_is_and_its_bundle_plans_the_same(tmp_path):
    folder, network, data, images = trained(tmp_path)
    errors = [row for row in folder.figures() if "held_out_position_error_m" in row]
    assert errors[-1]["held_out_position_error_m"] < 0.08  # by chance it is 0.15
    export_run(folder.path, tmp_path / "bundle", {})
    assert load_bundle(tmp_path / "bundle").section == {}
    policy = load_policy(tmp_path / "bundle", "cup", CLOCK)
    for window in (0, 9):
        inputs = encoder_example(data, images, window)
        crops = {"cam": center_crop(torch.from_numpy(inputs["image_cam"]), EYES.crop_px)}
        state = torch.from_numpy(inputs["state"])
        with torch.no_grad():
            plan = network.cpu().scaled_plan(network.condition(crops, state, None))
            expected = network.unscaled(plan, state)[0].numpy()
        np.testing.assert_allclose(policy.replay(inputs), expected, atol=1e-4)


def test_an_image_that_was_encoded_ahead_is_not_encoded_again(tmp_path):
    recipe = dataclasses.replace(RECIPE, loop=LoopConfig(2, 16, 2))
    folder, _, _, images = trained(tmp_path, tasks=2, recipe=recipe)
    export_run(folder.path, tmp_path / "bundle", {})
    policy = load_policy(tmp_path / "bundle", "bowl", CLOCK)
    image = images["cam"][5]
    tool = Pose(np.array([0.4, 0.3, 0.2]), np.array([0.0, 0.0, 0.0, 1.0]))
    observation = Observation(7, {"cam": image}, {"cam": 7}, tool, 0.5, np.zeros(6))
    at_once = policy.infer([observation])
    assert (at_once.encoded_ahead, list(at_once.stages)) == (0, ["preprocess", "vision", "decode"])
    policy.encode_image("cam", 7, image)
    before = policy.infer([observation])
    assert before.encoded_ahead == 1
    np.testing.assert_array_equal(before.actions, at_once.actions)
    policy.reset("cup")
    assert (policy.infer([observation]).actions != at_once.actions).any()


@pytest.mark.parametrize(("unit", "fills"), [("?", False), ("N", True)])
def test_only_a_number_of_unknown_unit_that_hardly_varies_is_not_blown_up(unit, fills):
    world, _ = make_world()
    states = world.states.copy()
    states[:, 0] = np.linspace(0.5, 0.502, len(states))
    states[:, 1] = np.linspace(0.0, 1.0, len(states))
    free = Layout("free", tuple(f"number_{i}" for i in range(10)), (unit,) * 10)
    data = dataclasses.replace(world, states=states, state=free, action=free)
    network = FAMILY.make(RECIPE, None, ("cam",), data, 0)
    scaled = network.state_scaling(torch.from_numpy(states))
    assert scaled[:, 1].abs().max() == pytest.approx(1.0)
    assert scaled[:, 0].abs().max() == pytest.approx(1.0 if fills else 0.05, abs=1e-3)


def test_numbers_of_any_layout_are_learnt_and_move_no_arm(tmp_path):
    world, _ = make_world()
    names = tuple(f"motor_{i}" for i in range(10))
    free = Layout("free", names, ("?",) * 10)
    data = dataclasses.replace(world, state=free, action=free)
    recipe = dataclasses.replace(RECIPE, loop=LoopConfig(2, 16, 2))
    folder, network, _, images = trained(tmp_path, recipe=recipe, data=data)
    assert not network.config.relative
    export_run(folder.path, tmp_path / "bundle", {})
    policy = load_policy(tmp_path / "bundle", "", CLOCK)
    tool = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    seen = Observation(7, {"cam": images["cam"][0]}, {"cam": 7}, tool, 0.0, np.zeros(6))
    with pytest.raises(PolicyError, match="has none for free numbers; expected 10: motor_0"):
        policy.infer([seen])
    prediction = policy.infer([dataclasses.replace(seen, numbers=data.states[0].astype(float))])
    assert prediction.chunk is None
    assert prediction.actions.shape == (HORIZON, 10)


def test_there_is_no_option_and_no_key(tmp_path):
    recipe = dataclasses.replace(RECIPE, loop=LoopConfig(1, 16, 1))
    folder, _, _, _ = trained(tmp_path, recipe=recipe)
    export_run(folder.path, tmp_path / "bundle", {})
    with pytest.raises(ValueError, match=r"\['last_scale'\] is no option of a regression policy"):
        load_policy(tmp_path / "bundle", "cup", CLOCK, options={"last_scale": 1})
