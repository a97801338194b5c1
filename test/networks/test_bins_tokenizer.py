"""Tests for networks/bins_tokenizer.py."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.bins_tokenizer import BinsConfig, BinsTokenizer  # noqa: E402
from carp_ros.networks.rotation_vectors import (  # noqa: E402
    matrices_from_vectors,
    rot6d_from_matrices,
)
from carp_ros.networks.weights import network_with  # noqa: E402

H = 16


def poses(*shape: int) -> torch.Tensor:
    position = 0.4 + 0.1 * torch.randn(*shape, 3)
    turn = rot6d_from_matrices(matrices_from_vectors(0.2 * torch.randn(*shape, 3)))
    return torch.cat((position, turn, torch.randint(0, 2, (*shape, 1)).float()), dim=-1)


@pytest.fixture(scope="module")
def data():
    torch.manual_seed(0)
    return poses(100, H), poses(100)


@pytest.fixture(scope="module")
def tokenizer(data):
    tokenizer = BinsTokenizer(BinsConfig(quantile=0.0))
    tokenizer.fit(*data)
    return tokenizer


def test_each_number_and_step_is_a_token_at_most_half_a_bin_off(data, tokenizer):
    normalised = tokenizer.normalised(*data)
    tokens = tokenizer.tokens_of(normalised)
    assert tokens.shape == (100, H * 7) == (100, tokenizer.config.tokens)
    assert (tokens.min(), tokens.max()) == (0, 255)
    back = tokenizer.decode_normalised(tokens)
    assert (back - normalised).abs().max() <= 1.0 / 256 + 1e-6
    assert torch.equal(tokenizer.tokens_of(back), tokens)


def test_tokens_are_step_by_step(tokenizer):
    normalised = torch.full((1, H, 7), -1.0)
    normalised[0, 1, 2] = 1.0
    (places,) = tokenizer.tokens_of(normalised)[0].nonzero(as_tuple=True)
    assert places.tolist() == [7 + 2]


def test_a_tools_actions_come_back_relative_to_the_tool_that_is_measured(data, tokenizer):
    back = tokenizer.decode(tokenizer.tokenize(*data), data[1])
    assert (back - data[0]).abs().max() < 0.03
    moved = data[1].clone()
    moved[:, 2] += 0.1
    higher = tokenizer.decode(tokenizer.tokenize(*data), moved)
    torch.testing.assert_close(higher[..., 2], back[..., 2] + 0.1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), max_size=H * 7 + 5))
@example([*range(H * 7 + 3)])
def test_any_sequence_decodes_to_finite_actions(tokenizer, said):
    tokens = torch.tensor([said], dtype=torch.int64)
    back = tokenizer.decode_normalised(tokens)
    assert back.shape == (1, H, 7)
    assert back.abs().max() < 1.0
    assert not back.flatten()[len(said) :].any()
    assert tokenizer.decode(tokens, poses(1)).isfinite().all()


def test_saved_and_loaded_it_gives_the_same_tokens(data, tokenizer):
    other = network_with(lambda: BinsTokenizer(tokenizer.config), tokenizer.state_dict(), "it")
    assert torch.equal(other.tokenize(*data), tokenizer.tokenize(*data))


def test_all_bins_in_use_are_counted(tokenizer):
    assert tokenizer.use_of(torch.arange(64)[None])["codes_used"] == 0.25


def test_a_tool_with_another_number_of_numbers_is_refused():
    with pytest.raises(ValueError, match="a tool's actions have 6 numbers; expected 7"):
        BinsTokenizer(BinsConfig(6))
