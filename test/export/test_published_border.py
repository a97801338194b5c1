"""Checkpoints of others, changed or cut off: one refusal that names the file."""

import json
import random

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'carp_ros[train]'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from carp_ros.export.published_checkpoint import import_checkpoint, load_imported  # noqa: E402
from carp_ros.export.published_tokenizer import published_tokenizer_weights  # noqa: E402
from carp_ros.export.published_transformer import published_transformer_weights  # noqa: E402
from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig  # noqa: E402
from carp_ros.networks.carp_transformer import CarpTransformer, TransformerConfig  # noqa: E402

SIZES = {"num_actions": 8, "patch_nums": [1, 2]}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return tokenizer, policy and sizes as they are published."""
    folder = tmp_path_factory.mktemp("published")
    config = TokenizerConfig(dimensions=2, horizon=8, scales=(1, 2), codes=8, code_width=4)
    torch.manual_seed(0)
    tokenizer = CarpTokenizer(config)
    size = TransformerConfig(6, 2, (1, 2), 8, 4, width=16, depth=2, heads=2)
    policy = CarpTransformer(size)
    paths = folder / "t.pt", folder / "p.safetensors", folder / "sizes.json"
    torch.save(published_tokenizer_weights(tokenizer), paths[0])
    weights = published_transformer_weights(policy)
    save_file({name: value.contiguous().clone() for name, value in weights.items()}, paths[1])
    paths[2].write_text(json.dumps(SIZES))
    return paths


def test_a_checkpoint_that_is_whole_is_imported_and_read_back(checkpoint, tmp_path):
    import_checkpoint(*checkpoint, tmp_path)
    vq, policy = load_imported(tmp_path)
    assert (vq.config.dimensions, policy.config.depth) == (2, 2)


@settings(deadline=None, max_examples=60)
@given(number=st.integers(0, 2), seed=st.integers(0, 10**6), cut=st.booleans())
def test_a_file_that_was_changed_or_cut_off_is_refused_or_harmless(
    checkpoint, tmp_path_factory, number, seed, cut
):
    rng = random.Random(seed)
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    paths = list(checkpoint)
    content = bytearray(paths[number].read_bytes())
    if cut:
        del content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(min(len(content), 2000))] ^= 1 << rng.randrange(8)
    paths[number] = folder / paths[number].name
    paths[number].write_bytes(content)
    try:
        import_checkpoint(paths[0], paths[1], paths[2], folder / "out")
    except ValueError as error:
        said = str(error)
    else:
        assert not cut
        return
    assert str(folder) in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.update({"blocks.99999999.attn.proj.weight": torch.zeros(1)}),
        lambda w: w.update({"blocks.0.ffn.fc1.weight": torch.zeros(4, 0)}),
        lambda w: w.update({"obs_embed.weight": torch.zeros(3)}),
        lambda w: w.update({"obs_embed.weight": torch.full((16, 6), float("nan"))}),
        lambda w: w.update({"head.bias": "text"}),
        lambda w: w.pop("head.bias"),
        lambda w: w.update(trainer={"other": {}}),
    ],
)
def test_weights_that_are_none_of_the_policy_are_refused_by_file(checkpoint, tmp_path, change):
    weights = load_file(checkpoint[1])
    change(weights)
    torch.save(weights, tmp_path / "changed.pt")
    with pytest.raises(ValueError, match=r"changed\.pt") as refused:
        import_checkpoint(checkpoint[0], tmp_path / "changed.pt", checkpoint[2], tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
