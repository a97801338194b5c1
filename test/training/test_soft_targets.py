import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.training.soft_targets import soft_cross_entropy, soft_targets  # noqa: E402


def test_a_near_code_is_worth_more_than_a_far_one_and_the_true_one_most():
    codebook = torch.tensor([[[0.0], [1.0], [3.0]]])
    targets = soft_targets(codebook, 1.0)
    torch.testing.assert_close(targets.sum(-1), torch.ones(1, 3))
    assert targets[0, 0, 0] > targets[0, 0, 1] > targets[0, 0, 2]


def test_without_spread_it_is_the_plain_cross_entropy():
    torch.manual_seed(0)
    targets = soft_targets(torch.randn(3, 8, 4), 1e-3)
    logits, tokens = torch.randn(2, 6, 8), torch.randint(8, (2, 6))
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    torch.testing.assert_close(soft_cross_entropy(logits, tokens, targets), plain)


def test_each_token_is_of_its_own_dimensions_codebook():
    targets = torch.stack((torch.eye(2), torch.eye(2).flip(0)))  # the second has them swapped
    sure = torch.tensor([[[9.0, -9.0], [-9.0, 9.0]]])  # of dimension 0: code 0; of 1: code 1
    assert soft_cross_entropy(sure, torch.zeros(1, 2, dtype=torch.int64), targets) < 1e-6
