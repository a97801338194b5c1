"""`carp train policy` with a published model as backbone: stages, and bundles that run."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")
pytest.importorskip("transformers", reason="published models need it: pip install 'carp_ros[vlm]'")

from carp_ros.cli import train as verb  # noqa: E402
from carp_ros.cli.train import BackboneOptions, PolicyCommand, TokenizerCommand  # noqa: E402
from carp_ros.inference.bundle import load_bundle  # noqa: E402
from carp_ros.inference.layout import tcp_pose_from_vector  # noqa: E402
from carp_ros.networks.pretrained.load import load_backbone, random_backbone  # noqa: E402
from carp_ros.policies.load import load_policy  # noqa: E402
from carp_ros.training.build import load_network  # noqa: E402
from carp_ros.training.run_folder import read_weights  # noqa: E402
from carp_ros.types import Observation  # noqa: E402

from ..networks.tiny_published import CONFIGS, IMAGE_PX, shaken, write_folder  # noqa: E402
from ..small_dataset import write_small_dataset  # noqa: E402

BACKBONE = "vla.backbone."


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("data") / "small", ("pick", "up"))


@pytest.fixture(scope="module")
def tokenizer(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "vq"
    command = TokenizerCommand(dataset, folder, kind="faster", preset="tiny", epochs=1)
    assert verb.main(command) == 0
    return folder


def published(folder, kind="smolvlm2", **options):
    backbone = shaken(random_backbone(CONFIGS[kind], image_px=IMAGE_PX[kind]))
    config = write_folder(folder, kind, backbone) / "config.json"
    content = config.read_text(encoding="utf-8")  # PaliGemma's window is as long as the prompt
    config.write_text(content.replace('"sliding_window": 45', '"sliding_window": 200'))
    return BackboneOptions(folder, backbone_px=IMAGE_PX[kind] or 0, **options)


def train(dataset, tokenizer, out, options, **more):
    command = PolicyCommand(
        dataset,
        out,
        "faster",
        tokenizer,
        "published",
        epochs=2,
        batch=16,
        learning_rate=1e-2,
        published=options,
        **more,
    )
    assert verb.main(command) == 0
    return read_weights(out)[1]


def changed(before, after):
    return {name for name in after if not torch.equal(before[name].float(), after[name].float())}


def plan_of(folder, instruction):
    policy = load_policy(folder, instruction, lambda: 0)
    tool, closure = tcp_pose_from_vector(np.array([0.3, 0, 0.2, 1, 0, 0, 0, -1, 0, 0.0]))
    image = np.full((240, 320, 3), 60, np.uint8)
    seen = Observation(0, {"cam": image}, {"cam": 0}, tool, closure, np.zeros(6))
    return policy.infer([seen])


def test_first_the_expert_is_trained_alone_then_also_the_upper_half(dataset, tokenizer, tmp_path):
    options = published(tmp_path / "model")
    bare = load_backbone(options.backbone, image_px=options.backbone_px).state_dict()
    before = {BACKBONE + name: weight for name, weight in bare.items()}
    first = train(dataset, tokenizer, tmp_path / "first", options)
    assert not changed(before, {name: first[name] for name in before})

    options = dataclasses.replace(options, freeze="lower-half")
    run = tmp_path / "second"
    second = train(dataset, tokenizer, run, options, start_from=tmp_path / "first")
    moved = changed(first, second)
    own = {name.removeprefix(BACKBONE) for name in moved if name.startswith(BACKBONE)}
    assert own
    for name in own:
        assert "vision_model" not in name
        assert "embed_tokens" not in name
        assert "layers.0." not in name
    assert {name for name in moved if name.startswith("vla.expert.layers")}


@pytest.mark.parametrize("kind", CONFIGS)
def test_its_bundle_runs_without_the_model_and_follows_words(dataset, tokenizer, tmp_path, kind):
    options = published(tmp_path / "model", kind)
    train(dataset, tokenizer, tmp_path / "run", options)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.manifest.vocabulary is not None
    sure = {
        plan_of(bundle.folder, words).figures["confidence"] for words in ("pick", "up", "pick up")
    }
    assert len(sure) == 3
    (bundle.folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json has SHA-256 .* copy the whole bundle"):
        load_bundle(bundle.folder)


def test_narrow_ways_are_trained_instead_of_the_backbone(dataset, tokenizer, tmp_path):
    options = published(tmp_path / "model", lora_rank=2)
    run = tmp_path / "run"
    weights = train(dataset, tokenizer, run, options)
    ways = {name for name in weights if name.startswith(BACKBONE) and name.endswith(".up")}
    moved = {name for name in ways if weights[name].any()}  # they begin as zero
    # of the last layer, only keys and values are looked at
    assert all(
        "layers.2" in name and not name.endswith(("k_proj.up", "v_proj.up"))
        for name in ways - moved
    )
    assert len(moved) > len(ways) / 2
    network, _, _ = load_network(run)
    assert not any(
        weight.requires_grad
        for name, weight in network.vla.backbone.named_parameters()
        if not name.endswith((".up", ".down"))
    )
    assert plan_of(run / "bundle", "pick").actions.shape[1] == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "cpu-small"}, "expected --preset published with the folder"),
        ({"published": BackboneOptions()}, "expected --preset published with the folder"),
        ({"policy": "carp", "preset": "cpu-small"}, "as a carp policy has none"),
    ],
)
def test_contradicting_options_are_refused(dataset, tokenizer, tmp_path, changes, message):
    options = BackboneOptions(tmp_path)
    command = PolicyCommand(dataset, tmp_path / "run", "faster", tokenizer, "published")
    command = dataclasses.replace(command, published=options)
    with pytest.raises(ValueError, match=message):
        verb.main(dataclasses.replace(command, **changes))


def test_a_folder_without_a_model_is_refused(dataset, tokenizer, tmp_path):
    command = PolicyCommand(dataset, tmp_path / "run", "faster", tokenizer, "published")
    command = dataclasses.replace(command, published=BackboneOptions(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"none has no config\.json; expected a published model"):
        verb.main(command)
