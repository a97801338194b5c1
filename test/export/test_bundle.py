"""A bundle of a small network, run as a robot would: without torch, by its graphs alone."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="exporting needs torch: pip install 'carp_ros[train]'")

import torch

from carp_ros.export.bundle import BundleMetadata, write_bundle
from carp_ros.export.shared_weights import share_weights
from carp_ros.export.training_run import export_run
from carp_ros.export.untrained import write_untrained
from carp_ros.export.verify import verify_bundle
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.layout import TOOL, tcp_pose_from_vector
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.inference.session import write_inputs
from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.policies.carp import load_carp
from carp_ros.policies.load import load_policy
from carp_ros.training.build import load_tokenizer
from carp_ros.training.example import encoder_example
from carp_ros.training.run_folder import read_weights
from carp_ros.types import Observation

from ..training.small_world import EYES, make_network, make_recipe, make_world

FACTS = BundleMetadata(
    kind="carp",
    rig="ur5e_sim",
    tasks=("cup",),
    step_s=0.1,
    observation={"reference": "cam"},
    dataset_px={},
    state=TOOL.spanning((0.0,) * 10, (1.0,) * 10),
    action=TOOL.spanning((0.0,) * 10, (1.0,) * 10),
    made={"seed": 0},
    config={},
)


def write(folder: Path, tasks: tuple[str, ...] = ("cup",), **choices: Any):
    data, images = make_world(tasks=len(tasks))
    network = make_network(data, **choices).eval()
    _liven(network)
    inputs = encoder_example(data, images, 3)
    example = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
    tokenizer = dataclasses.asdict(network.tokenizer.config)
    facts = dataclasses.replace(FACTS, tasks=tasks)
    recipe = make_recipe(choices.get("sharpness"), choices.get("committed", 0))
    config = {
        "kind": "policy",
        "tasks": tasks,
        "tokenizer": tokenizer,
        "recipe": dataclasses.asdict(recipe),
        "cameras": ["cam"],
        "state": dataclasses.asdict(facts.state),
        "action": dataclasses.asdict(facts.action),
        "rig": facts.rig,
        "step_s": facts.step_s,
    }
    facts = dataclasses.replace(facts, config=json.loads(json.dumps(config)))
    write_bundle(folder, network, EYES, facts, example)
    return network, example


@torch.no_grad()
def _liven(network: CarpPolicyNetwork) -> None:
    """Give every weight a say: at first branches are almost closed, and codes almost nothing."""
    torch.manual_seed(0)
    for name, weight in network.transformer.named_parameters():
        weight.add_(0.3 * torch.randn_like(weight))
        if name.endswith("sharpness"):  # of one head beyond what it is clamped to
            weight[0] = 5.0
    quantizer = network.tokenizer.vq.quantizer
    for weight in quantizer.parameters():
        weight.add_(0.5 * torch.randn_like(weight))


def run_graphs(folder: Path, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return tokens, actions and log-likelihood of the graphs."""
    passes = load_carp(load_bundle(folder), OnnxRuntime(), lambda: 0, {}, None)._passes
    write_inputs(passes.inputs, inputs)
    passes.encoders["cam"]()
    passes.condition()
    for run in passes.scales:
        run()
    passes.decode[-1]()
    tokens = np.concatenate([passes.tokens(k) for k in range(2)])
    return tokens, passes.actions.read(), sum(passes.log_likelihood(k) for k in range(2))


@pytest.mark.parametrize("choices", [{}, {"joint": True}, {"sharpness": 2.0}])
@pytest.mark.parametrize("tasks", [("cup",), ("cup", "bowl")])
def test_the_graphs_say_what_the_network_says(tmp_path, tasks, choices):
    network, example = write(tmp_path / "bundle", tasks, **choices)
    tokens, actions, log_likelihood = run_graphs(
        tmp_path / "bundle", {name: value.numpy() for name, value in example.items()}
    )
    images = {"cam": _cropped(example["image_cam"])}
    condition = network.condition(images, example["state"], example.get("task"))
    made = network.generate(condition)
    np.testing.assert_array_equal(tokens, made.tokens[0].numpy())
    expected = network.tokenizer.decode(made.latent, example["state"]).detach().numpy()
    np.testing.assert_allclose(actions, expected, atol=1e-4)
    np.testing.assert_allclose(log_likelihood, made.log_likelihood.detach(), rtol=1e-4)


def test_a_bundle_stays_until_there_is_another(tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    write(tmp_path / "bundle")
    monkeypatch.setattr("carp_ros.export.bundle.share_weights", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "bundle")
    load_bundle(tmp_path / "bundle")


@pytest.mark.parametrize("tasks", [("cup",), ("cup", "bowl")])
@pytest.mark.parametrize("count", [0, 2])
def test_what_the_arm_is_committed_to_reaches_the_graphs(tmp_path, tasks, count):
    network, example = write(tmp_path / "bundle", tasks, committed=3)
    steps = example["state"][:, None].expand(-1, 3, -1) + 0.05
    given = (steps, torch.tensor([count]))
    inputs = {name: value.numpy() for name, value in example.items()}
    inputs |= {"committed": steps.numpy(), "committed_count": np.array([count])}
    tokens, actions, _ = run_graphs(tmp_path / "bundle", inputs)
    images = {"cam": _cropped(example["image_cam"])}
    condition = network.condition(images, example["state"], example.get("task"), given)
    made = network.generate(condition)
    np.testing.assert_array_equal(tokens, made.tokens[0].numpy())
    expected = network.tokenizer.decode(made.latent, example["state"]).detach().numpy()
    np.testing.assert_allclose(actions, expected, atol=1e-4)
    alone = network.condition(images, example["state"], example.get("task"))
    assert torch.equal(alone, condition) == (count == 0)


def test_a_policy_goes_on_with_its_last_plan_if_it_can_be_told(tmp_path):
    write(tmp_path / "told", committed=3)
    write(tmp_path / "alone")
    told, alone = (load_policy(tmp_path / name, "cup", lambda: 0) for name in ("told", "alone"))
    data, images = make_world()
    pose, closure = tcp_pose_from_vector(data.states[3].astype(float))
    seen = Observation(0, {"cam": images["cam"][3]}, {"cam": 0}, pose, closure, np.zeros(6))
    likely = {}
    for name, policy in (("told", told), ("alone", alone)):
        plan = policy.infer([seen]).actions
        policy.followed(seen.stamp_ns, 0)
        later = dataclasses.replace(
            seen, stamp_ns=100_000_000, tcp_pose=tcp_pose_from_vector(plan[1])[0]
        )
        likely[name] = [policy.infer([later]).figures["confidence"]]
        policy.reset("cup")
        likely[name].append(policy.infer([later]).figures["confidence"])
    assert likely["told"][0] != likely["told"][1]
    assert likely["alone"][0] == likely["alone"][1]
    with pytest.raises(ValueError, match="committed_steps is 2; expected 0 to 0"):
        load_policy(tmp_path / "alone", "cup", lambda: 0, options={"committed_steps": 2})


@pytest.mark.parametrize("choices", [{}, {"joint": True}, {"sharpness": 2.0}])
def test_a_bundle_is_accepted_by_who_runs_it(tmp_path, choices):
    write(tmp_path / "bundle", **choices)
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert (
        load_bundle(tmp_path / "bundle").section["scales"],
        manifest.horizon,
        manifest.made["seed"],
    ) == ([1, 2], 8, 0)
    assert manifest.made["flops"].keys() == manifest.graphs.keys()
    assert all(count > 0 for count in manifest.made["flops"].values())
    load_policy(tmp_path / "bundle", "cup", lambda: 0)
    checks = list(verify_bundle(tmp_path / "bundle"))
    assert "CPUExecutionProvider" in [check.provider for check in checks if check.agrees]


def test_weights_that_graphs_have_in_common_lie_in_the_bundle_once(tmp_path):
    network, _ = write(tmp_path / "bundle")
    floats = sum(weight.numel() for weight in network.state_dict().values())
    size = (tmp_path / "bundle" / "weights.bin").stat().st_size
    graphs = sum(path.stat().st_size for path in (tmp_path / "bundle").glob("*.onnx"))
    # the exporter folds some products of weights to constants of their own
    assert size < 1.2 * 4 * floats
    assert graphs < 400_000


def test_a_weight_that_is_no_float32_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"counts is int64; expected float32"):
        share_weights([], {"counts": np.arange(3)}, tmp_path / "weights.bin")


@pytest.mark.parametrize("choices", [{}, {"joint": True}])
def test_a_training_finds_network_and_tokenizer_in_the_bundle_again(tmp_path, choices):
    network, _ = write(tmp_path / "bundle", **choices)
    config, weights = read_weights(tmp_path / "bundle")
    assert config["tasks"] == ["cup"]
    own = network.state_dict()
    assert weights.keys() == own.keys()
    for name, weight in own.items():
        torch.testing.assert_close(weights[name], weight, rtol=0.0, atol=0.0)
    tokenizer = load_tokenizer(tmp_path / "bundle")
    for name, weight in network.tokenizer.state_dict().items():
        torch.testing.assert_close(tokenizer.state_dict()[name], weight, rtol=0.0, atol=0.0)


def test_a_bundle_is_written_anew_from_itself(tmp_path):
    write(tmp_path / "old", ("cup", "bowl"), sharpness=2.0)
    export_run(tmp_path / "old", tmp_path / "new", {"command": "carp export"})
    old, new = (load_bundle(tmp_path / name) for name in ("old", "new"))
    again = {"exported_anew": {"command": "carp export"}}
    assert new.manifest.made == old.manifest.made | again | {"recipe": new.manifest.made["recipe"]}
    assert new.manifest.weights == old.manifest.weights
    for name, array in old.golden().items():
        np.testing.assert_array_equal(new.golden()[name], array)


def test_a_bundle_of_another_format_is_not_run(tmp_path):
    write(tmp_path / "bundle")
    manifest = tmp_path / "bundle" / "policy.yaml"
    manifest.write_text(manifest.read_text().replace("format: 3", "format: 9"))
    with pytest.raises(ValueError, match=r"format is 9; expected .*3"):
        load_bundle(tmp_path / "bundle")


def test_a_bundle_without_its_network_is_no_beginning(tmp_path):
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "network.json").unlink()
    with pytest.raises(ValueError, match=r"no .*config\.json; expected .* a bundle with a network"):
        read_weights(tmp_path / "bundle")


def test_a_bundle_that_is_exported_again_replaces_the_one_before(tmp_path):
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "scale_9.onnx").write_bytes(b"of another network")
    write(tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "scale_9.onnx").exists()


def _cropped(image: torch.Tensor) -> torch.Tensor:
    width, height = EYES.crop_px
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    part = image[:, top : top + height, left : left + width]
    return part.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def test_in_8_bits_the_graphs_say_nearly_what_the_network_says(tmp_path):
    network, example = write(tmp_path / "float32")
    export_run(tmp_path / "float32", tmp_path / "int8", {}, "int8")
    inputs = {name: value.numpy() for name, value in example.items()}
    tokens, actions, likelihood = run_graphs(tmp_path / "float32", inputs)
    tokens_8, actions_8, likelihood_8 = run_graphs(tmp_path / "int8", inputs)
    assert (tokens_8 == tokens).mean() > 0.8
    assert np.abs(actions_8 - actions).mean() < 0.02 * np.ptp(actions)
    assert likelihood_8 != likelihood
    assert likelihood_8 == pytest.approx(likelihood, rel=0.05)
    assert load_bundle(tmp_path / "int8").manifest.made["precision"] == "int8"
    # training goes on from all its digits
    _, weights = read_weights(tmp_path / "int8")
    for name, value in network.state_dict().items():
        assert value.equal(weights[name]), name


def test_in_8_bits_are_all_linear_layers_but_that_of_the_logits(tmp_path):
    network, _ = write(tmp_path / "float32")
    export_run(tmp_path / "float32", tmp_path / "int8", {}, "int8")
    blocks = len(network.transformer.blocks)
    for k in range(2):
        path = tmp_path / "int8" / f"scale_{k}.onnx"
        nodes = onnx.load(path, load_external_data=False).graph.node
        quantized = [node for node in nodes if node.op_type == "MatMulInteger"]
        assert len(quantized) == 4 * blocks + (k > 0)  # and what a code becomes
        (logits,) = [node for node in nodes if any(x.startswith("head.weight") for x in node.input)]
        assert logits.op_type == "MatMul"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_preset_can_be_measured_untrained(tmp_path, precision):
    write_untrained(tmp_path / "bundle", "paper-state", (), precision=precision)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.input_names == ("state",)
    assert bundle.manifest.made["untrained"] == "paper-state"
    assert sum(bundle.manifest.made["flops"].values()) == pytest.approx(0.099e9, rel=0.01)
    load_policy(tmp_path / "bundle", "cup", lambda: 0)
