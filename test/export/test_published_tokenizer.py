import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from safetensors.torch import load_file  # noqa: E402

from carp_ros.export.published_tokenizer import (  # noqa: E402
    load_tokenizer_weights,
    phi_of_scale,
    published_tokenizer_weights,
    with_dimension,
)
from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig  # noqa: E402

SET = Path(__file__).parent.parent / "data" / "parity" / "tiny_k124_cos"
SIZE = TokenizerConfig(dimensions=2, scales=(1, 2, 4), codes=64)


@pytest.fixture
def weights():
    return load_file(f"{SET}_tokenizer.safetensors")


@torch.inference_mode()
def test_the_tokens_are_those_of_the_published_tokenizer(weights):
    assert json.loads(Path(f"{SET}.json").read_text())["patch_nums"] == [1, 2, 4]
    recorded = np.load(f"{SET}_io.npz")
    tokenizer = CarpTokenizer(SIZE).eval()
    load_tokenizer_weights(tokenizer, weights)
    tokens = tokenizer.tokenize(torch.from_numpy(recorded["tok_actions"]))
    np.testing.assert_array_equal(tokens, recorded["tok_indices"])


def test_weights_survive_the_way_to_published_names_and_back():
    first, second = CarpTokenizer(SIZE), CarpTokenizer(SIZE)
    load_tokenizer_weights(second, published_tokenizer_weights(first))
    for name, weight in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], weight), name


def test_published_names_and_shapes_are_complete(weights):
    ours = published_tokenizer_weights(CarpTokenizer(SIZE))
    theirs = {name: w.shape for name, w in weights.items() if "ema_vocab_hit" not in name}
    assert {name: w.shape for name, w in ours.items()} == theirs


def test_checkpoints_of_single_dimensions_are_put_together(weights):
    alone = [
        {
            name.replace(f"s.{d}.", ".", 1): weight
            for name, weight in weights.items()
            if f"s.{d}." in name.split("quant_resi")[0]
        }
        for d in range(2)
    ]
    assert "quant_conv.weight" in alone[1]
    together = with_dimension(alone[0], 0) | with_dimension(alone[1], 1)
    assert together.keys() == weights.keys()
    assert all(torch.equal(together[name], weight) for name, weight in weights.items())


def test_a_missing_weight_is_named(weights):
    del weights["encoders.1.down_2.block_1.conv2.bias"]
    with pytest.raises(ValueError, match=r"no encoders\.1\.down_2\.block_1\.conv2\.bias"):
        load_tokenizer_weights(CarpTokenizer(SIZE), weights)


def test_an_unknown_weight_is_named(weights):
    weights["encoders.0.mid.attn.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"encoders\.0\.mid\.attn\.weight"):
        load_tokenizer_weights(CarpTokenizer(SIZE), weights)


def test_a_weight_of_another_size_is_named(weights):
    for d in range(2):
        weights[f"quantizers.{d}.embedding.weight"] = torch.zeros(65, 8)
    with pytest.raises(ValueError, match=r"quantizers\.0\.embedding\.weight .*65, 8.*expected.*64"):
        load_tokenizer_weights(CarpTokenizer(SIZE), weights)


def test_each_scale_has_its_own_phi_where_there_are_as_many():
    for scales in range(1, 9):
        assert [phi_of_scale(k, scales, scales) for k in range(scales)] == list(range(scales))
