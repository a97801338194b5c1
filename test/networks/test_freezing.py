"""Tests for networks/freezing.py: what is frozen comes out bit for bit as it went in."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from torch import nn  # noqa: E402

from carp_ros.networks.action_expert import ExpertConfig  # noqa: E402
from carp_ros.networks.faster_vla import FasterVla  # noqa: E402
from carp_ros.networks.freezing import BACKBONE, freeze, lower_half  # noqa: E402
from carp_ros.networks.tiny_backbone import TinyBackbone, TinyBackboneConfig  # noqa: E402

EXPERT = ExpertConfig(codes=11, tokens=12, block=4, width=16, hidden=32)
TINY = TinyBackboneConfig(1, (32, 32), 20, width=32, layers=2, hidden=48, channels=(16,) * 4)


class Decoder(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.embed_tokens = nn.Embedding(4, 2)
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(layers))


class Model(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.tower, self.projector = nn.Linear(2, 2), nn.Linear(2, 2)
        self.text = Decoder(layers)


class Backbone(nn.Module):
    VISION = ("model.tower.*",)
    DECODER = "text"

    def __init__(self, layers):
        super().__init__()
        self.model = Model(layers)


class Policy(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.backbone, self.expert = Backbone(layers), nn.Linear(2, 2)


def test_in_the_first_stage_steps_change_the_expert_alone():
    torch.manual_seed(0)
    network = FasterVla(TinyBackbone(TINY), EXPERT)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    frozen = freeze(network, BACKBONE)
    assert set(frozen) == {name for name, _ in network.named_parameters() if "backbone" in name}
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        context = network.context(torch.randn(2, 1, 3, 32, 32), torch.randint(1, 20, (2, 5)))
        network.losses(context, torch.randint(11, (2, 12)))["loss"].backward()
        optimizer.step()
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name]) is name.startswith("backbone."), name


@pytest.mark.parametrize(
    ("layers", "still"), [(4, {0, 1}), (5, {0, 1}), (1, set()), (24, set(range(12)))]
)
def test_in_the_second_stage_vision_text_and_the_lower_half_stay(layers, still):
    policy = Policy(layers)
    frozen = freeze(policy, lower_half(policy.backbone, layers))
    parts = ["tower", "text.embed_tokens", *(f"text.layers.{layer}" for layer in still)]
    assert {name.rpartition(".")[0] for name in frozen} == {
        f"backbone.model.{part}" for part in parts
    }
    for name, weight in policy.named_parameters():
        assert weight.requires_grad is (name not in frozen)


def test_ten_layers_are_no_pattern_of_one():
    policy = Policy(12)
    assert len(freeze(policy, ["backbone.model.text.layers.1.*"])) == 2


def test_what_was_frozen_before_stays_so():
    policy = Policy(2)
    freeze(policy, ["expert.*"])
    freeze(policy, BACKBONE)
    assert not any(weight.requires_grad for weight in policy.parameters())


def test_a_pattern_of_no_parameter_is_refused_and_freezes_nothing():
    policy = Policy(2)
    with pytest.raises(ValueError, match=r"no parameter is named vision.*; expected .* backbone"):
        freeze(policy, ["expert.*", "vision.*"])
    assert all(weight.requires_grad for weight in policy.parameters())
