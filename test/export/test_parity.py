import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from safetensors.torch import load_file, save_file  # noqa: E402

from carp_ros.cli import import_carp  # noqa: E402
from carp_ros.cli.import_carp import ImportCarpCommand  # noqa: E402
from carp_ros.export.parity import parity_sets, replay  # noqa: E402
from carp_ros.export.published_checkpoint import load_imported  # noqa: E402
from carp_ros.export.published_vision import load_encoder, published_features  # noqa: E402

REPOSITORY = Path(__file__).parents[2]
TINY = REPOSITORY / "test" / "data" / "parity"
LARGE = Path(os.environ.get("CARP_PARITY", REPOSITORY.parent / "shared" / "parity" / "carp"))
NAME = "tiny_k124_cos"


@pytest.fixture
def copied(tmp_path) -> Path:
    for path in TINY.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_small_set_agrees_in_every_quantity():
    deviations = replay(TINY, NAME)
    assert len(deviations) == 11
    assert [str(deviation) for deviation in deviations if not deviation.agrees] == []


@pytest.mark.skipif(not LARGE.is_dir(), reason=f"no parity sets in {LARGE}: set CARP_PARITY")
@pytest.mark.parametrize("name", parity_sets(LARGE) if LARGE.is_dir() else [])
def test_each_large_set_agrees(name):
    assert [str(deviation) for deviation in replay(LARGE, name) if not deviation.agrees] == []


def test_one_changed_weight_is_found(copied, capsys):
    path = copied / f"{NAME}_ar.safetensors"
    weights = load_file(path)
    weights["blocks.1.ffn.fc2.bias"] += 0.01
    save_file(weights, path)
    assert import_carp.main(ImportCarpCommand(verify=copied)) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_a_weight_that_is_missing_refuses_the_set_and_is_named(copied, capsys):
    path = copied / f"{NAME}_ar.safetensors"
    weights = load_file(path)
    del weights["head.bias"]
    save_file(weights, path)
    assert import_carp.main(ImportCarpCommand(verify=copied)) == 1
    assert "REFUSED: the policy has no head.bias" in capsys.readouterr().out


def test_sizes_that_contradict_the_weights_are_refused(copied):
    path = copied / f"{NAME}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "V": 63}))
    with pytest.raises(ValueError, match="V is 63, but the weights are of 64"):
        replay(copied, NAME)


def test_a_folder_without_sets_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no parity set"):
        parity_sets(tmp_path)


def test_an_imported_checkpoint_generates_what_the_published_one_did(tmp_path):
    files = [
        TINY / f"{NAME}{end}" for end in ("_tokenizer.safetensors", "_ar.safetensors", ".json")
    ]
    assert import_carp.main(ImportCarpCommand(None, *files, tmp_path)) == 0
    vq, transformer = load_imported(tmp_path)
    recorded = np.load(TINY / f"{NAME}_io.npz")
    condition = transformer.condition(torch.from_numpy(recorded["gen_obs"]).flatten(1))
    tokens = transformer.generate(vq, condition).tokens
    np.testing.assert_array_equal(tokens, recorded["gen_tokens"])


def test_a_published_image_encoder_is_read_by_its_names_and_features_come_in_their_order():
    weights = published_encoder("eye")
    observation = {
        "eye": torch.zeros(2, 3, 84, 84, dtype=torch.uint8),
        "arm": torch.full((2, 3), 7.0),
    }
    features = published_features(weights, observation)
    assert features.shape == (2, 3 + 64)
    assert (features[:, :3] == 7.0).all()
    del weights["obs_encoder.obs_nets.eye.nets.1.nets.bias"]
    with pytest.raises(ValueError, match=r"eye has no .*1\.nets\.bias"):
        load_encoder(weights, "eye")


def published_encoder(camera: str) -> dict[str, torch.Tensor]:
    """Return weights of ResNet-18 under torchvision's and robomimic's names."""
    prefix = f"obs_encoder.obs_nets.{camera}.nets."
    weights = {f"{prefix}0.nets.0.weight": torch.randn(64, 3, 7, 7)}
    norms = {f"{prefix}0.nets.1": 64}
    channels = 64
    for layer, out in zip(range(4, 8), (64, 128, 256, 512)):
        for block in range(2):
            name = f"{prefix}0.nets.{layer}.{block}"
            weights[f"{name}.conv1.weight"] = torch.randn(out, channels, 3, 3)
            weights[f"{name}.conv2.weight"] = torch.randn(out, out, 3, 3)
            norms |= {f"{name}.bn1": out, f"{name}.bn2": out}
            if channels != out:
                weights[f"{name}.downsample.0.weight"] = torch.randn(out, channels, 1, 1)
                norms[f"{name}.downsample.1"] = out
            channels = out
    for name, width in norms.items():
        weights |= {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}
    weights |= {
        f"{prefix}1.nets.weight": torch.randn(32, 512, 1, 1),
        f"{prefix}1.nets.bias": torch.zeros(32),
        f"{prefix}1.pos_x": torch.zeros(1, 9),
        f"{prefix}3.weight": torch.randn(64, 64),
        f"{prefix}3.bias": torch.zeros(64),
        f"{prefix}backbone.nets.0.weight": torch.zeros(1),
    }
    return weights
