import pytest
import torch
from torch import nn

from carp_ros.training.ema import Ema, ema_decay
from carp_ros.training.optimizer import OptimizerConfig, make_optimizer, rate_at, set_rates


def test_the_rate_rises_holds_and_falls():
    config = OptimizerConfig(warmup=0.1, decay="linear", last_rate=0.1)
    rates = [rate_at(config, step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.005)
    assert rates[100] == rates[140] == 1.0
    assert rates[-1] == pytest.approx(0.1)
    assert sorted(rates[100:], reverse=True) == rates[100:]


def test_vectors_and_embeddings_of_place_do_not_decay():
    network = nn.ModuleDict({"layer": nn.Linear(4, 4)})
    network.positions = nn.Parameter(torch.zeros(3, 4))
    decayed, kept = make_optimizer(network, OptimizerConfig()).param_groups
    assert [tuple(weight.shape) for weight in decayed["params"]] == [(4, 4)]
    assert kept["weight_decay"] == 0.0
    assert len(kept["params"]) == 2


def test_weight_decay_falls_to_nothing_and_only_where_it_is():
    optimizer = make_optimizer(nn.Linear(2, 2), OptimizerConfig(weight_decay=0.05))
    set_rates(optimizer, OptimizerConfig(weight_decay=0.05), 99, 100)
    assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.0)
    assert optimizer.param_groups[1]["weight_decay"] == 0.0


def test_the_average_follows_fast_at_first_and_slowly_later():
    assert ema_decay(1) == 0.0
    assert ema_decay(2) == pytest.approx(1.0 - 2.0**-0.75)
    assert ema_decay(10**9) == 0.9999
    layer = nn.Linear(1, 1)
    average = Ema(layer)
    with torch.no_grad():
        layer.weight.fill_(3.0)
    average.update(1)
    assert average.state_dict()["weight"].item() == 3.0
