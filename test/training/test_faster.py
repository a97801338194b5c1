"""Tests for training/faster.py and training/faster_trainee.py."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.inference.prompt import BINS  # noqa: E402
from carp_ros.inference.words import PADDING  # noqa: E402
from carp_ros.training.build import start_from  # noqa: E402
from carp_ros.training.faster import FasterFamily  # noqa: E402
from carp_ros.training.policy_config import read_policy_config  # noqa: E402
from carp_ros.training.run_folder import RunFolder  # noqa: E402

from .small_faster import RECIPE, fitted_tokenizer, make_network, make_trainee  # noqa: E402
from .small_world import HORIZON, make_world  # noqa: E402


def inputs_of(trainee, frames=16, seed=0):
    return trainee.inputs(np.arange(frames), np.random.default_rng(seed))


def steps_of(trainee, count, rate=3e-3):
    torch.manual_seed(0)
    trainee.network.train()
    weights = [w for w in trainee.network.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(count):
        batch = rng.choice(trainee.windows, 16)
        loss = trainee.losses(trainee.inputs(batch, rng))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    trainee.network.eval()
    return losses


def test_a_training_learns_and_leaves_the_tokenizer_alone():
    trainee = make_trainee()
    before = {name: w.clone() for name, w in trainee.network.tokenizer.state_dict().items()}
    losses = steps_of(trainee, 60)
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    for name, weight in trainee.network.tokenizer.state_dict().items():
        assert torch.equal(weight, before[name]), name


def test_each_level_makes_the_plan_more_exact_or_leaves_it():
    trainee = make_trainee()
    figures = trainee.validate()
    assert {"held_out_position_error_m_0", "held_out_position_error_m_1"} <= set(figures)
    assert all(np.isfinite(value) for value in figures.values())


def test_some_windows_begin_within_a_plan_and_their_commitment_is_what_was_done():
    trainee = make_trainee()
    inputs = inputs_of(trainee, 64)
    count = inputs["count"].numpy()
    assert set(count) == {0, 1, 2, 3, 4}
    assert 20 < (count == 0).sum() < 44
    off = inputs["committed"].cpu().numpy() - trainee.data.actions[:64, :4]
    assert np.abs(off[..., 3:]).max() == 0.0
    assert 0.003 < off[..., :3].std() < 0.03
    assert np.ptp(off[..., :3], axis=1).max() < 1e-6, "all steps of a window are moved alike"


def test_the_commitment_decides_the_plan_and_what_is_not_committed_does_not():
    trainee = make_trainee()
    network, inputs = trainee.network, inputs_of(trainee, 4)
    states = inputs["states"]
    committed = inputs["committed"]

    def tokens_of(actions, count):
        given = (actions, torch.full((4,), count))
        more = network.committed(states, given)
        context = network.vla.context(images, text, more)
        return network.vla.expert.step(0, torch.zeros(4, 7).long(), *context)[0]

    images = inputs["image_cam"][:, None]
    text = inputs["text"]
    other = committed.clone()
    other[:, 2:, :3] += 0.1
    assert torch.equal(tokens_of(committed, 2), tokens_of(other, 2))
    assert not torch.allclose(tokens_of(committed, 4), tokens_of(other, 4), atol=1e-7)
    assert torch.equal(tokens_of(committed, 0), tokens_of(other, 0))


def test_words_are_left_out_or_made_unreadable_in_training_only():
    trainee = make_trainee(word_noise=0.5)
    clean = trainee._wanted(np.arange(64))["instructions"].numpy()
    states = torch.from_numpy(trainee.data.states[:64])
    noisy = inputs_of(trainee, 64)["text"].numpy()
    told = trainee.network.text(clean, states).numpy()
    head = slice(2, 2 + clean.shape[1])  # between "Task:" and ", State:"
    words = clean != PADDING
    assert (told[:, head] == clean).all()
    assert (noisy[:, head][~words] == PADDING).all()
    odd = words & (noisy[:, head] != clean)
    assert 0.3 < odd[words].mean() < 0.7
    assert {True, False} == set((noisy[:, head][odd] == PADDING).tolist())


def test_the_prompt_tells_instruction_and_state_apart():
    data, _ = make_world(tasks=2)
    network = make_network(data)
    states = torch.from_numpy(data.states[:2])
    cup, bowl = (network.prompts.instruction(word)[None] for word in ("cup", "bowl"))
    one, other = (network.text(word, states[:1]) for word in (cup, bowl))
    assert (one != other).sum() == 1
    assert (network.text(cup, states[1:]) != one).sum() >= 1


def test_numbers_begin_alike_if_they_are_near():
    network = make_network(make_world(tasks=2)[0])
    first = network.prompts.words.tokens("0")[0]
    table = network.vla.backbone.text.weight[first : first + BINS]
    apart = torch.cdist(table, table)
    assert apart.diagonal(1).mean() < 0.5 * apart.diagonal(64).mean()


@pytest.mark.parametrize("gripper", ["rule", "vq"])
def test_a_network_is_remade_from_what_its_training_says(gripper):
    data, _ = make_world(tasks=2)
    network = make_network(data, gripper=gripper)
    layout = dataclasses.asdict(data.state.spanning((0.0,) * 10, (1.0,) * 10))
    content = json.dumps(
        {
            "kind": "policy",
            "policy": "faster",
            "tasks": list(data.task_names),
            "tokenizer": dataclasses.asdict(network.tokenizer.config),
            "tokenizer_kind": "faster",
            "recipe": dataclasses.asdict(RECIPE),
            "cameras": ["cam"],
            "rig": "ur5e_sim",
            "step_s": 0.1,
            "state": layout,
            "action": layout,
        }
    )
    config = read_policy_config(json.loads(content), "here")
    again = FasterFamily().remake(config)
    again.load_state_dict(network.state_dict())
    assert again.prompts.words == network.prompts.words


@pytest.mark.parametrize(("block", "passes"), [(0, 2), (1, 14), (14, 1)])
def test_a_block_is_a_level_unless_asked_otherwise(block, passes):
    data, _ = make_world(tasks=2)
    network = make_network(data, dataclasses.replace(RECIPE, block=block))
    assert network.vla.expert.config.blocks == passes


@pytest.mark.parametrize(("kind", "passes"), [("binning", HORIZON), ("fast", 20)])
def test_other_tokens_do_too(kind, passes):
    trainee = make_trainee(make=lambda data: fitted_tokenizer(data, kind))
    assert trainee.network.vla.expert.config.blocks == passes
    losses = steps_of(trainee, 30)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert np.isfinite(trainee.validate()["held_out_position_error_m_0"])


def test_more_tokens_than_graphs_are_refused():
    data, _ = make_world(tasks=2)
    with pytest.raises(ValueError, match=r"that takes 95 passes; expected 80 at most: make a"):
        make_network(data, tokenizer=fitted_tokenizer(data, "fast", 95))


def test_a_sketch_teaches_the_backbone_and_leaves_the_codes_to_the_expert():
    trainee = make_trainee(sketch_weight=10.0)
    inputs = inputs_of(trainee)
    figures = trainee.losses(inputs)
    alone = make_trainee()
    alone.network.load_state_dict(
        {n: w for n, w in trainee.network.state_dict().items() if not n.startswith("sketch.")}
    )
    codes = alone.losses(inputs)["loss"]
    assert float(figures["loss"]) == pytest.approx(
        float(codes + 10.0 * (figures["sketch_loss"] + figures["aim_loss"])), rel=1e-5
    )
    figures["sketch_loss"].backward()
    network = trainee.network
    assert network.vla.backbone.eye[0].weight.grad.any()
    assert network.sketch.to_hint.weight.grad is None
    assert all(weight.grad is None for weight in network.vla.expert.parameters())
    trainee.losses(inputs)["loss"].backward()
    assert network.sketch.to_hint.weight.grad.any(), "the expert is told"
    losses = steps_of(trainee, 60)
    for loss in ("sketch_loss", "aim_loss"):
        assert float(trainee.losses(inputs)[loss]) < 0.5 * float(figures[loss])
    assert losses[-1] < losses[0]
    with torch.no_grad():
        validated = trainee.validate()
    assert validated["held_out_position_error_m_of_sketch"] < 0.2
    assert validated["held_out_position_error_m_of_aim"] < 0.3


def test_a_training_with_a_sketch_begins_as_one_without(tmp_path):
    trainee = make_trainee()
    folder = RunFolder(tmp_path, {"kind": "policy", "tasks": ["cup", "bowl"]})
    folder.save({"epoch": 1}, trainee.network.state_dict())
    for weight in (10.0, 0.0):
        own = make_trainee(sketch_weight=weight).network
        start_from(own, tmp_path, ("cup", "bowl"))
        for name, value in trainee.network.state_dict().items():
            assert torch.equal(own.state_dict()[name], value)
        RunFolder(tmp_path, {"kind": "policy", "tasks": ["cup", "bowl"]}).save(
            {"epoch": 1}, own.state_dict()
        )
