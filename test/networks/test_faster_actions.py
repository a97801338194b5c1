"""Tests for networks/faster_actions.py and networks/gripper_rule.py."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.networks.faster_actions import (  # noqa: E402
    FasterActionConfig,
    FasterActionTokenizer,
)
from carp_ros.networks.faster_tokenizer import FasterTokenizerConfig  # noqa: E402
from carp_ros.networks.gripper_rule import GripperRule  # noqa: E402
from carp_ros.networks.rotation_vectors import (  # noqa: E402
    matrices_from_vectors,
    rot6d_from_matrices,
)

VQ = FasterTokenizerConfig(width=16, heads=2, depth=1, codes=256, code_width=8)


def poses(count, generator, spread):
    """Tool poses [m], rot6d, with an open gripper, of shape (count, 10)."""
    position = 0.4 + spread * torch.randn(count, 3, generator=generator)
    vectors = spread * torch.randn(count, 3, generator=generator)
    turn = rot6d_from_matrices(matrices_from_vectors(vectors))
    return torch.cat((position, turn, torch.zeros(count, 1)), dim=-1)


@pytest.fixture(scope="module")
def data():
    """Actions of 16 steps near measured states, the gripper closing somewhere."""
    generator = torch.Generator().manual_seed(0)
    states = poses(200, generator, 0.2)
    steps = torch.linspace(0.0, 1.0, 16)[None, :, None]
    goals = states + 0.1 * torch.randn(200, 10, generator=generator)
    actions = states[:, None] + steps * (goals - states)[:, None]
    closes = torch.randint(0, 17, (200, 1), generator=generator)
    actions[..., 9] = (torch.arange(16)[None] >= closes).float()
    return actions, states


def fitted(data, **options):
    torch.manual_seed(0)
    tokenizer = FasterActionTokenizer(FasterActionConfig(VQ, **options)).eval()
    tokenizer.fit(*data)
    return tokenizer


@pytest.mark.parametrize("gripper", ["vq", "rule"])
def test_a_tools_actions_take_seven_columns_in_three_levels(data, gripper):
    tokenizer = fitted(data, gripper=gripper)
    tokens = tokenizer.tokenize(*data)
    assert tokens.shape == (200, 21) == (200, tokenizer.config.tokens)
    assert tokens.min() >= 0
    assert tokens.max() < 256
    for levels in (1, 2, 3):
        actions = tokenizer.decode(tokens[:, : 7 * levels], data[1])
        assert actions.shape == (200, 16, 10)
        torch.testing.assert_close(actions[..., 3:6].norm(dim=-1), torch.ones(200, 16))


@pytest.mark.parametrize("gripper", ["vq", "rule"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_certain_shares_are_decoded_as_their_tokens(data, gripper, levels):
    tokenizer = fitted(data, gripper=gripper)
    tokens = tokenizer.tokenize(*data)[:20, : 7 * levels]
    shares = torch.nn.functional.one_hot(tokens, 256).float()
    made = tokenizer.decode_shares(shares, data[1][:20])
    torch.testing.assert_close(made, tokenizer.decode(tokens, data[1][:20]), atol=1e-5, rtol=0.0)


def test_what_finer_levels_add_counts_as_far_as_the_code_before_is_likely(data):
    tokenizer = fitted(data, gripper="vq")
    tokens = tokenizer.tokenize(*data)[:1]
    shares = torch.nn.functional.one_hot(tokens, 256).float()
    other = (tokens[0, 0] + 1) % 256
    shares[0, 0, tokens[0, 0]], shares[0, 0, other] = 0.7, 0.3
    books = tokenizer.vq.quantizer.codebook
    known = tokenizer.vq.codes_of(tokens)[0, 0, 0]
    first = 0.7 * books[0][known[0]] + 0.3 * books[0][other]
    rest = books[1][known[1]] + books[2][known[2]]
    latent = tokenizer.vq.latent_of(tokens)
    latent[0, 0, 0] = first + 0.7 * rest
    wanted = tokenizer.numbers.actions(tokenizer.vq.decode(latent).clamp(-1, 1), data[1][:1])
    torch.testing.assert_close(tokenizer.decode_shares(shares, data[1][:1]), wanted)


def test_what_is_decoded_is_relative_to_the_tool_that_is_measured_then(data):
    tokenizer = fitted(data)
    tokens = tokenizer.tokenize(*data)
    shifted = data[1].clone()
    shifted[:, :3] += 0.1
    moved = tokenizer.decode(tokens, shifted) - tokenizer.decode(tokens, data[1])
    torch.testing.assert_close(moved[..., :3], torch.full((200, 16, 3), 0.1))
    torch.testing.assert_close(moved[..., 3:], torch.zeros(200, 16, 7))


def test_numbers_are_scaled_by_quantiles_and_the_gripper_by_its_ends(data):
    tokenizer = fitted(data, quantile=0.1)
    normalised = tokenizer.normalised(*data)
    at_an_end = (normalised[..., :6].abs() == 1.0).float().mean(dim=(0, 1))
    assert at_an_end == pytest.approx([0.2] * 6, abs=0.02)
    assert set(normalised[..., 6].unique().tolist()) == {-1.0, 1.0}


def test_representation_and_scaling_lose_nothing_between_the_quantiles(data):
    tokenizer = fitted(data, quantile=0.0)
    back = tokenizer.numbers.actions(tokenizer.normalised(*data), data[1])
    torch.testing.assert_close(back[..., :3], data[0][..., :3], atol=1e-5, rtol=0.0)
    torch.testing.assert_close(back[..., 9], data[0][..., 9])


def test_the_rule_keeps_every_change_of_the_gripper(data):
    tokenizer = fitted(data, gripper="rule")
    for levels in (1, 3):
        tokens = tokenizer.tokenize(*data)[:, : 7 * levels]
        assert torch.equal(tokenizer.decode(tokens, data[1])[..., 9], data[0][..., 9])


def test_actions_without_a_tool_are_tokenized_as_they_are():
    config = FasterActionConfig(
        FasterTokenizerConfig((4, 3, 1), width=16, heads=2, depth=1, codes=32, code_width=8),
        tool=False,
    )
    tokenizer = FasterActionTokenizer(config)
    actions = torch.randn(50, 16, 8)
    tokenizer.fit(actions, torch.zeros(50, 3))
    tokens = tokenizer.tokenize(actions, torch.zeros(50, 3))
    assert tokens.shape == (50, 24)
    assert tokenizer.decode(tokens, torch.zeros(50, 3)).shape == (50, 16, 8)


def test_saved_and_loaded_it_gives_the_same_tokens(data):
    tokenizer, other = fitted(data), FasterActionTokenizer(FasterActionConfig(VQ)).eval()
    assert not torch.equal(other.vq.quantizer.codebook, tokenizer.vq.quantizer.codebook)
    other.load_state_dict(tokenizer.state_dict())
    tokens = tokenizer.tokenize(*data)
    assert torch.equal(other.tokenize(*data), tokens)
    assert torch.equal(other.decode(tokens, data[1]), tokenizer.decode(tokens, data[1]))


def test_the_rule_lists_sequences_with_as_many_changes_as_fit():
    rule = GripperRule(16, 256)
    assert rule.changes == 2
    assert len(rule.sequences) == 2 * (1 + 15 + 105) == len(rule.sequences.unique(dim=0))
    assert torch.equal(rule.tokenize(rule.sequences), torch.arange(242))
    assert torch.equal(rule.detokenize(torch.tensor([255])), rule.sequences[-1:])


def test_more_changes_than_the_rule_knows_give_the_nearest_sequence():
    rule = GripperRule(6, 12)
    assert rule.changes == 1
    shaken = torch.tensor([[-1.0, 1.0, -1.0, -1.0, 1.0, 1.0]])
    assert rule.detokenize(rule.tokenize(shaken)).tolist() == [[-1.0, -1.0, -1.0, -1.0, 1.0, 1.0]]


def test_a_rule_without_room_for_one_change_is_refused():
    with pytest.raises(ValueError, match="8 codes; expected at least 32"):
        GripperRule(16, 8)
