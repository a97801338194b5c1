"""Numbers that never change, or hardly: harmless to the others, and said as what they are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from carp_ros.networks.action_tokenizer import ActionConfig, ActionTokenizer  # noqa: E402
from carp_ros.networks.carp_tokenizer import TokenizerConfig  # noqa: E402
from carp_ros.networks.grouped import NORM_EPS, GroupedNorm  # noqa: E402
from carp_ros.training.soft_targets import soft_targets  # noqa: E402

ROT6D = (False,) * 3 + (True,) * 6 + (False,)
COUNT, HORIZON = 12, 8


def actions_with(still: set[int], value: float, spread: float, outlier: bool) -> torch.Tensor:
    """Return actions of which some numbers are `value`, but for a spread or one outlier."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-0.5, 0.5, (COUNT, HORIZON, 10))
    for number in still:
        actions[..., number] = value + spread * rng.uniform(-0.5, 0.5, (COUNT, HORIZON))
        if outlier:
            actions[0, 0, number] += 0.3
            actions[1, 0, number] -= 0.3
    return torch.from_numpy(actions.astype(np.float32))


def fitted(actions: torch.Tensor, *, scaled: bool) -> tuple[ActionTokenizer, torch.Tensor]:
    """Return a fresh tokenizer of absolute actions, and what it is given of them."""
    torch.manual_seed(0)
    vq = TokenizerConfig(horizon=HORIZON, scales=(1, 2), codes=8, code_width=4)
    config = ActionConfig(vq, scaled=() if scaled else tuple(not kept for kept in ROT6D))
    network = ActionTokenizer(config)
    network.fit(actions, torch.zeros(COUNT, 10))
    return network, network.normalised(actions, torch.zeros(COUNT, 10))


@settings(deadline=None, max_examples=40)
@given(
    still=st.sets(st.integers(0, 9), min_size=1),
    value=st.sampled_from([0.0, 1.0, -0.2]),
    spread=st.sampled_from([0.0, 1e-9, 1e-6, 1e-3]),
    outlier=st.booleans(),
    scaled=st.booleans(),
)
def test_whatever_hardly_changes_every_gradient_is_of_a_size_to_learn_from(
    still, value, spread, outlier, scaled
):
    network, normalised = fitted(actions_with(still, value, spread, outlier), scaled=scaled)
    network.vq(normalised).loss.backward()
    for weight in network.parameters():
        gradient = weight.grad
        # a single outlier of a number that stands still is worth some thousand; it was 1e30
        assert gradient is None or (gradient.isfinite().all() and gradient.norm() < 1e4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 9), st.sampled_from([0.0, 1.0, -0.4]), st.sampled_from([0.0, 1e-9, 5e-5]))
def test_a_number_that_hardly_changes_comes_back_though_nothing_was_learnt(number, value, spread):
    actions = actions_with({number}, value, spread, outlier=False)
    network, normalised = fitted(actions, scaled=False)
    latents = network.vq.quantize(network.vq.encode(normalised)).latents[:, -1]
    back = network.decode(latents, torch.zeros(COUNT, 10))
    torch.testing.assert_close(back[..., number], actions[..., number], rtol=0, atol=1e-3)


def test_what_is_scaled_spans_minus_one_to_one_as_ever():
    network, normalised = fitted(actions_with({9}, 0.5, 0.0, outlier=False), scaled=True)
    low, high = normalised.flatten(0, 1).amin(0), normalised.flatten(0, 1).amax(0)
    torch.testing.assert_close(low, -torch.ones(10), rtol=0, atol=1e-3)
    torch.testing.assert_close(high[:9], torch.ones(9))
    assert (network.scaling.scale > 0.0).all()


def test_a_norm_gives_what_any_norm_does_and_so_is_its_gradient_unless_nothing_varies():
    torch.manual_seed(0)
    ours = GroupedNorm(2, 6, eps=NORM_EPS)
    any_norm = torch.nn.GroupNorm(2, 6, eps=NORM_EPS)
    numbers = torch.randn(3, 6, 5)
    numbers[0] *= 1e-5
    numbers[1, :3] = 0.0
    found, wanted = numbers.clone().requires_grad_(), numbers.clone().requires_grad_()
    for norm, x in ((ours, found), (any_norm, wanted)):
        y = norm(x)
        y.square().sum().backward()
    torch.testing.assert_close(ours(found), any_norm(wanted), rtol=0, atol=0)
    assert found.grad is not None
    assert wanted.grad is not None
    torch.testing.assert_close(found.grad[2], wanted.grad[2], rtol=0, atol=0)
    assert not found.grad[1, :3].any()
    assert (found.grad[0].abs() < 0.01 * wanted.grad[0].abs().max()).all()


def test_codes_that_are_all_one_share_what_a_token_is_worth():
    targets = soft_targets(torch.ones(1, 4, 3), 0.6)
    torch.testing.assert_close(targets, torch.full((1, 4, 4), 0.25))
