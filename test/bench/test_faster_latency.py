"""Tests for bench/faster_latency.py: floors by hand, and counts against the models themselves."""

import pytest

from bench.faster_latency import (
    CASES,
    GPUS,
    Gpu,
    Work,
    context_tokens,
    expert_parameters,
    gpu_named,
    parameters_of,
    row,
    text_of,
    work_of,
)

GIVEN = {f"{case.name} {case.image_px}": case for case in CASES}


def test_a_floor_is_the_longer_of_arithmetic_and_reading():
    gpu = Gpu(tflops=10.0, gb_s=100.0, gib=8.0)
    assert Work(2e10, 1e8, 3).floor_s(gpu) == pytest.approx(2e-3)
    assert Work(2e9, 5e8, 3).floor_s(gpu) == pytest.approx(5e-3)


def test_a_guess_is_no_shorter_than_the_floor_or_the_launches():
    gpu = Gpu(tflops=10.0, gb_s=100.0, gib=8.0)
    assert Work(2e10, 1e8, 3).guess_s(gpu, 1e-4) == pytest.approx(4e-3)  # half the peak
    assert Work(2e9, 5e8, 3).guess_s(gpu, 1e-4) == pytest.approx(5e-3)
    assert Work(2e9, 1e6, 30).guess_s(gpu, 1e-4) == pytest.approx(3e-3)


@pytest.mark.parametrize("name", GIVEN)
def test_the_rows_agree_with_figures_worked_out_by_hand_for_an_rtx_2060(name):
    floors = {
        "SmolVLM2-256M 512": (188, 16.7, 1.6, 0.23),
        "SmolVLM2-256M 256": (92, 3.6, 0.8, 0.22),
        "SmolVLM2-500M 512": (188, 16.7, 4.8, 0.63),
        "SmolVLM2-500M, 16 layers 512": (188, 16.7, 2.4, 0.33),
        "SmolVLM2-500M, 16 layers 256": (92, 3.6, 1.1, 0.32),
        "SmolVLM2-2.2B 384": (222, 51.8, 28.1, 2.6),
        "PaliGemma2-3B 224": (572, 17.0, 93.0, 3.2),
        "Qwen2.5-VL-3B 224": (188, 27.0, 41.0, 2.9),
    }
    found = row(GIVEN[name], GPUS["RTX 2060"])
    tokens, *expected = floors[name]
    assert found["context_tokens"] == tokens
    parts = [found["floor_ms"][part] for part in ("vision", "prefill", "block")]
    assert parts == pytest.approx(expected, rel=0.1)


def test_the_whole_has_every_block():
    case = GIVEN["SmolVLM2-500M 512"]
    gpu = Gpu(25.8, 336.0, 6.0)
    floors = {name: 1e3 * work.floor_s(gpu) for name, work in work_of(case).items()}
    one_each = floors["vision"] + floors["prefill"] + floors["tokens_to_actions"]
    assert row(case, gpu)["floor_total_ms"] == pytest.approx(one_each + 3 * floors["block"], 0.01)


def test_a_table_says_that_it_is_computed():
    gpu = GPUS["RTX 2060"]
    lines = text_of("RTX 2060", gpu, [row(case, gpu) for case in CASES])
    assert lines[0].startswith("Computed for an RTX 2060, not measured: 25.8 TFLOP/s, 336 GB/s")
    rows = {line.split(" | ")[0][2:]: line for line in lines[4:]}
    assert rows["PaliGemma2-3B"].endswith("| no |")
    assert rows["SmolVLM2-500M"].endswith("| yes |")


def test_a_gpu_without_figures_is_refused():
    with pytest.raises(ValueError, match="no figures of a GPU named GTX 1; expected one of RTX"):
        gpu_named("GTX 1")


@pytest.mark.parametrize("name", GIVEN)
def test_counts_are_those_of_the_models(name):
    torch = pytest.importorskip("torch", reason="networks need torch")
    pytest.importorskip("transformers", reason="needs transformers: pip install 'carp_ros[vlm]'")
    from carp_ros.networks.pretrained.load import random_backbone

    case = GIVEN[name]
    with torch.device("meta"):
        backbone = random_backbone(case.config, layers=case.layers)
    counted = {"vision": 0, "projector": 0, "table": 0, "decoder": 0}
    for weight, values in backbone.named_parameters():
        if "embed_tokens" in weight:
            part = "table"
        elif f".{backbone.DECODER}." in weight:
            part = "decoder"
        elif "connector" in weight or "projector" in weight or "merger" in weight:
            part = "projector"
        else:
            part = "vision"
        counted[part] += values.numel()
    own = parameters_of(case.config, case.layers)
    assert {part: getattr(own, part) for part in counted} == pytest.approx(counted, rel=0.02)
    assert own.total == pytest.approx(sum(counted.values()), rel=0.02)


@pytest.mark.parametrize("name", GIVEN)
def test_counts_of_experts_are_those_of_the_networks(name):
    torch = pytest.importorskip("torch", reason="networks need torch")
    from carp_ros.networks.action_expert import ActionExpert, ExpertConfig
    from carp_ros.networks.backbone import BackboneShape

    case = GIVEN[name]
    text = case.config.get("text_config", case.config)
    width, heads = text["hidden_size"], text["num_attention_heads"]
    head_width = text.get("head_dim", width // heads)
    layers = case.layers or text["num_hidden_layers"]
    hidden = {480: 1280, 288: 768, 1024: 2816, 1152: 3072}[width // 2]
    shape = BackboneShape(
        layers, width, heads, text["num_key_value_heads"], head_width, 1e4, head_width**-0.5
    )
    with torch.device("meta"):
        expert = ActionExpert(shape, ExpertConfig(4096, 21, 7, width // 2, hidden))
    counted = sum(weight.numel() for weight in expert.parameters())
    assert expert_parameters(case) == counted
    assert context_tokens(case) > 60
