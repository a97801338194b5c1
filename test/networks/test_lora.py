"""Tests for networks/lora.py: nothing changes at first, and merging changes nothing."""

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from torch import nn  # noqa: E402

from carp_ros.networks.lora import add_lora, load_lora, lora_state, merge_lora  # noqa: E402


def network_of(dtype=torch.float32):
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.Linear(8, 3)]
    return nn.Sequential(*layers).to(dtype)


def trained(network, steps=3):
    optimizer = torch.optim.Adam([w for w in network.parameters() if w.requires_grad], 0.05)
    generator = torch.Generator().manual_seed(1)
    dtype = getattr(network[3], "linear", network[3]).weight.dtype
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.randn(16, 6, generator=generator).to(dtype)
        network(x).float().square().mean().backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_outputs_are_the_same_bit_for_bit_until_the_first_step(dtype):
    network, x = network_of(dtype), torch.randn(5, 6).to(dtype)
    before = network(x)
    assert add_lora(network, ["0", "2"], rank=2) == ["0", "2"]
    assert torch.equal(network(x), before)
    assert network(x).dtype == dtype
    trained(network, 1)
    assert (network(x) != before).any()


def test_only_the_ways_around_are_trained_and_all_else_stays_bit_for_bit():
    network = network_of()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    add_lora(network, ["0", "2"], rank=2)
    names = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert names == {"0.down", "0.up", "2.down", "2.up"} == lora_state(network).keys()
    trained(network)
    after = network.state_dict()
    for name, weight in before.items():
        inside = name if name.startswith("3") else name.replace(".", ".linear.")
        assert torch.equal(after[inside], weight)


def test_the_ways_around_half_precision_are_in_single():
    network = network_of(torch.bfloat16)
    add_lora(network, ["0"], rank=2)
    assert {weight.dtype for weight in lora_state(network).values()} == {torch.float32}


def test_the_product_is_scaled_by_alpha_over_rank():
    network, x = network_of(torch.float64), torch.randn(5, 6).double()
    plain = network[0](x)
    add_lora(network, ["0"], rank=2, alpha=6.0)
    with torch.no_grad():
        network[0].up.normal_()
    way = network[0].up @ network[0].down
    torch.testing.assert_close(network[0](x), plain + 3.0 * x @ way.T)


def test_merging_changes_names_back_and_no_output():
    network, x = network_of(torch.float64), torch.randn(5, 6).double()
    names = list(network.state_dict())
    add_lora(network, ["*"], rank=2)
    trained(network)
    before = network(x)
    merge_lora(network)
    assert list(network.state_dict()) == names
    assert [type(part) for part in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.Linear]
    assert all(weight.requires_grad for weight in network.parameters())
    torch.testing.assert_close(network(x), before, atol=1e-12, rtol=0.0)


def test_trained_weights_alone_make_the_same_network_of_the_same_start():
    first, second = network_of(), network_of()
    for network in (first, second):
        add_lora(network, ["0", "2"], rank=2)
    trained(first)
    x = torch.randn(5, 6)
    assert (first(x) != second(x)).any()
    load_lora(second, lora_state(first), "a file")
    assert torch.equal(first(x), second(x))


def test_weights_of_other_layers_are_refused():
    network = network_of()
    add_lora(network, ["0", "2"], rank=2)
    weights = lora_state(network)
    del weights["2.up"]
    with pytest.raises(ValueError, match=r"a file lacks 2.up"):
        load_lora(network, weights, "a file")


@pytest.mark.parametrize(
    ("patterns", "rank", "message"),
    [
        (["0", "1"], 2, "no linear layer is named 1; expected a pattern such as of 0, 2, 3"),
        (["0"], 0, "rank is 0; expected 1 or more"),
    ],
)
def test_patterns_of_nothing_and_ranks_below_one_are_refused(patterns, rank, message):
    network = network_of()
    with pytest.raises(ValueError, match=message):
        add_lora(network, patterns, rank=rank)
    assert all(weight.requires_grad for weight in network.parameters())
