"""A bundle of a small FASTer policy: its graphs compute what the network does."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'carp_ros[train]'")

from carp_ros.export.bundle import BundleMetadata, write_bundle  # noqa: E402
from carp_ros.export.torch_runtime import TorchRuntime  # noqa: E402
from carp_ros.inference.bundle import load_bundle  # noqa: E402
from carp_ros.inference.layout import TOOL, tcp_pose_from_vector  # noqa: E402
from carp_ros.inference.onnx_runtime import OnnxRuntime  # noqa: E402
from carp_ros.policies.load import load_policy  # noqa: E402
from carp_ros.training.example import encoder_example  # noqa: E402
from carp_ros.types import Observation  # noqa: E402

from ..training.small_faster import IMAGES, RECIPE, fitted_tokenizer, make_network  # noqa: E402
from ..training.small_world import make_world  # noqa: E402

TASKS = ("put the cup on the field", "put the bowl into the pot")
SPAN = TOOL.spanning((0.0,) * 10, (1.0,) * 10)


@torch.no_grad()
def write(folder, recipe=RECIPE, gripper="rule", kind="faster", network=None):
    data, images = make_world(tasks=2)
    data = dataclasses.replace(data, task_names=TASKS)
    if network is None:
        tokenizer = None if kind == "faster" else fitted_tokenizer(data, kind)
        network = make_network(data, recipe, gripper, tokenizer)
        torch.manual_seed(0)
        for weight in network.vla.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    inputs = encoder_example(data, images, 3)
    example = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
    config = {
        "kind": "policy",
        "policy": "faster",
        "tasks": TASKS,
        "tokenizer": dataclasses.asdict(network.tokenizer.config),
        "tokenizer_kind": kind,
        "recipe": dataclasses.asdict(recipe),
        "cameras": ["cam"],
        "state": dataclasses.asdict(SPAN),
        "action": dataclasses.asdict(SPAN),
        "rig": "ur5e_sim",
        "step_s": 0.1,
    }
    facts = BundleMetadata(
        "faster",
        "ur5e_sim",
        TASKS,
        0.1,
        {"reference": "cam"},
        {},
        SPAN,
        SPAN,
        {"seed": 0},
        json.loads(json.dumps(config)),
    )
    write_bundle(folder, network, IMAGES, facts, example)
    return network, data, images


def observation(data, images, frame, stamp_ns=0):
    state = data.states[frame].astype(float)
    pose, closure = tcp_pose_from_vector(state)
    shown = {"cam": images["cam"][frame]}
    return Observation(stamp_ns, shown, {"cam": stamp_ns}, pose, closure, np.zeros(6))


def loaded(folder, runtime=None, **options):
    return load_policy(folder, TASKS[0], lambda: 0, runtime=runtime, options=options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faster") / "bundle"
    return folder, *write(folder)


@pytest.mark.parametrize("runtime", [OnnxRuntime, lambda: TorchRuntime("cpu")])
@pytest.mark.parametrize("task", [0, 1])
def test_the_graphs_say_what_the_network_says(written, runtime, task):
    folder, network, data, images = written
    _require_same(loaded(folder, runtime()), task, network, data, images)


@pytest.mark.parametrize("kind", ["faster", "binning"])
@pytest.mark.parametrize("block", [0, 1])
def test_a_plan_may_be_a_mean_over_codes(tmp_path, kind, block):
    recipe = dataclasses.replace(RECIPE, sharpness=1.5, block=block)
    network, data, images = write(tmp_path / "bundle", recipe, kind=kind)
    policy = loaded(tmp_path / "bundle")
    for task in range(len(TASKS)):
        _require_same(policy, task, network, data, images)
    policy.reset("", TASKS[0])
    mean = policy.infer([observation(data, images, 5)]).actions
    network.sharpness = 0.0
    write(tmp_path / "bundle", recipe, kind=kind, network=network)
    likeliest = loaded(tmp_path / "bundle").infer([observation(data, images, 5)]).actions
    assert bool(np.abs(mean - likeliest).max() > 1e-4) is (kind == "faster")


@pytest.mark.parametrize("block", [0, 1])
def test_a_sketch_is_part_of_the_graphs(tmp_path, block):
    recipe = dataclasses.replace(RECIPE, sketch_weight=1.0, block=block)
    network, data, images = write(tmp_path / "bundle", recipe)
    assert network.sketch is not None
    sure = []
    for hints in (0.0, 1.0):
        with torch.no_grad():
            network.sketch.to_hint.weight.normal_(std=hints)
        write(tmp_path / "bundle", recipe, network=network)
        policy = loaded(tmp_path / "bundle")
        _require_same(policy, 0, network, data, images)
        sure.append(policy.infer([observation(data, images, 5)]).figures["confidence"])
    assert sure[0] != sure[1], "the expert is told"


@pytest.mark.parametrize("kind", ["fast", "binning"])
def test_other_tokens_are_decoded_by_graphs_too(tmp_path, kind):
    if kind == "fast":
        pytest.importorskip("tokenizers", reason="FAST needs it: pip install 'carp_ros[train]'")
    network, data, images = write(tmp_path / "bundle", kind=kind)
    policy = loaded(tmp_path / "bundle")
    for task in range(len(TASKS)):
        _require_same(policy, task, network, data, images)


def _require_same(policy, task, network, data, images):
    policy.reset(TASKS[task])
    seen = observation(data, images, 5)
    made = policy.infer([seen]).actions
    states = torch.from_numpy(data.states[5:6])
    crop = torch.from_numpy(images["cam"][5:6, 4:12, 2:18]).permute(0, 3, 1, 2) * (2 / 255) - 1
    text = network.text(network.prompts.instruction(TASKS[task])[None], states)
    context = network.context({"cam": crop}, text, states)
    expected = network.plans(context, states)[-1]
    np.testing.assert_allclose(made, expected[0].detach().numpy(), atol=1e-5)


def test_an_instruction_that_was_never_seen_is_followed_to_some_plan(written):
    folder, _, data, images = written
    policy = loaded(folder)
    assert policy.spec.takes_instruction
    seen = observation(data, images, 5)
    sure = set()
    for words in (TASKS[0], TASKS[1], "put the mug there", ""):
        policy.reset("", words)
        plan = policy.infer([seen])
        assert np.isfinite(plan.actions).all()
        sure.add(plan.figures["confidence"])
    assert len(sure) == 4, "each instruction makes a difference"


def test_with_little_time_the_first_level_is_decoded_and_said_so(written):
    folder, _, data, images = written
    now_ns = [0]

    def clock():
        now_ns[0] += 1_000_000  # 1 ms for each look at it
        return now_ns[0]

    policy = load_policy(folder, TASKS[0], clock)
    for _ in range(4):
        assert not policy.infer([observation(data, images, 5)]).reduced
    coarse = policy.infer([observation(data, images, 5)], deadline_ns=now_ns[0])
    assert coarse.reduced
    assert coarse.figures["levels_done"] == 1
    only = load_policy(folder, TASKS[0], clock, options={"last_level": 0})
    np.testing.assert_array_equal(
        only.infer([observation(data, images, 5)]).actions, coarse.actions
    )


def test_an_instruction_whose_end_would_not_be_read_is_refused_and_the_old_one_goes_on(written):
    folder, _, data, images = written
    policy = loaded(folder)
    seen = observation(data, images, 5)
    before = policy.infer([seen]).figures["confidence"]
    with pytest.raises(ValueError, match=r"tokens; expected .* say it in fewer, plainer words"):
        policy.reset("", "put the cup " * 9 + "not on the field")
    policy.reset("", TASKS[0])
    assert policy.infer([seen]).figures["confidence"] == before


def test_an_observation_gives_the_same_plan_whatever_was_planned_before(written):
    folder, _, data, images = written
    policy = loaded(folder)
    first = policy.infer([observation(data, images, 5)]).actions
    for frame in range(20):
        policy.infer([observation(data, images, frame, 1 + frame)])
    np.testing.assert_array_equal(policy.infer([observation(data, images, 5)]).actions, first)


def test_a_plan_goes_on_with_the_one_before_only_if_the_arm_did(written):
    folder, _, data, images = written
    policy = loaded(folder)
    first = policy.infer([observation(data, images, 5)])
    assert first.figures["committed_steps"] == 0
    on_plan = dataclasses.replace(
        observation(data, images, 5, 200_000_000),
        tcp_pose=tcp_pose_from_vector(first.actions[2])[0],
    )
    assert policy.infer([on_plan]).figures["committed_steps"] == 0, "it was not followed"
    policy.reset("", TASKS[0])
    policy.infer([observation(data, images, 5)])
    policy.followed(0, 0)
    again = policy.infer([on_plan])
    assert again.figures["committed_steps"] == 3
    policy.reset("", TASKS[0])
    alone = policy.infer([on_plan])
    assert alone.figures["committed_steps"] == 0
    assert again.figures["confidence"] != alone.figures["confidence"]
    policy.followed(on_plan.stamp_ns, 0)
    pushed = dataclasses.replace(
        on_plan,
        stamp_ns=400_000_000,
        tcp_pose=dataclasses.replace(on_plan.tcp_pose, position=on_plan.tcp_pose.position + 0.2),
    )
    assert policy.infer([pushed]).figures["committed_steps"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"last_level": 2}, "last_level is 2; expected 0 to 1"),
        ({"committed_steps": 5}, "committed_steps is 5; expected 0 to 4"),
        ({"last_scale": 1}, "no option of a faster policy"),
    ],
)
def test_an_option_that_it_has_not_is_refused(written, options, said):
    with pytest.raises(ValueError, match=said):
        loaded(written[0], **options)


def test_token_by_token_gives_as_many_graphs_and_decodes_after_each_level(tmp_path):
    recipe = dataclasses.replace(RECIPE, block=1)
    network, *_ = write(tmp_path / "bundle", recipe)
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.section["blocks"] == network.vla.expert.config.tokens == 14
    assert bundle.section["decodes_after"] == [7, 14]
    loaded(tmp_path / "bundle")
