"""`python -m bench.faster_latency`: the least time that FASTer's passes can take, computed.

Nothing is measured. Each stage takes at least as long as its multiplications at the GPU's peak, and
as reading its weights once at the GPU's bandwidth; the longer of the two is its floor. What comes
on top is software: the columns of guesses have a time for every layer's launches, and half of the
peak, as `_EAGER_S` and its neighbours say.

Counts are those of the published configurations in `published_backbones`, of an expert half as wide
as its backbone, and of 16-bit weights.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.markdown import table
from bench.published_backbones import (
    PALIGEMMA2_3B,
    QWEN2_5_VL_3B,
    SMOLVLM2_2B,
    SMOLVLM2_256M,
    SMOLVLM2_500M,
    Config,
)
from carp_ros.evaluation.report import heading, write_report
from carp_ros.share import version

CAMERAS = 2
TEXT_TOKENS = 60
BLOCK, BLOCKS, CODES = 7, 3, 4096
_BYTES = 2  # of a weight
_DETOKENIZER = 3_900_000  # weights of FASTerVQ's decoder
_DETOKENIZER_LAYERS, _DETOKENIZER_COLUMNS = 6, 7 * 5
_GIB = 2**30
_SPARE_GIB = 1.0  # for CUDA itself and what a pass keeps

# Guesses. A layer's launches one by one: 7.4 ms for 18 layers, which the paper measured though
# reading their weights takes 0.4 ms. In a graph, and the share of the peak that is reached: ours.
_EAGER_S, _GRAPH_S, _REACHED = 400e-6, 80e-6, 0.5


@dataclass(frozen=True)
class Gpu:
    """What a GPU's maker states.

    Attributes:
        tflops: Of 16-bit matrices added up in 32 bits, without sparsity.
        gb_s: Of its memory.
        gib: Of memory.
    """

    tflops: float
    gb_s: float
    gib: float


GPUS = {
    # Half of the 51.6 that it has with 16-bit sums: GeForce cards add in 32 bits at half the rate.
    "RTX 2060": Gpu(25.8, 336.0, 6.0),
    "RTX 3090": Gpu(71.0, 936.0, 24.0),
    "RTX 4090": Gpu(165.2, 1008.0, 24.0),
    "RTX 5090": Gpu(209.5, 1792.0, 32.0),
    "H200": Gpu(989.0, 4800.0, 141.0),
}


@dataclass(frozen=True)
class Case:
    """A published model as it would be used."""

    name: str
    config: Config
    image_px: int
    layers: int | None = None


CASES = (
    Case("SmolVLM2-256M", SMOLVLM2_256M, 512),
    Case("SmolVLM2-256M", SMOLVLM2_256M, 256),
    Case("SmolVLM2-500M", SMOLVLM2_500M, 512),
    Case("SmolVLM2-500M, 16 layers", SMOLVLM2_500M, 512, layers=16),
    Case("SmolVLM2-500M, 16 layers", SMOLVLM2_500M, 256, layers=16),
    Case("SmolVLM2-2.2B", SMOLVLM2_2B, 384),
    Case("PaliGemma2-3B", PALIGEMMA2_3B, 224),
    Case("Qwen2.5-VL-3B", QWEN2_5_VL_3B, 224),
)


@dataclass(frozen=True)
class Parameters:
    """How many numbers the parts of a backbone have."""

    vision: int
    projector: int
    table: int
    decoder: int

    @property
    def total(self) -> int:
        """Of all parts."""
        return self.vision + self.projector + self.table + self.decoder


@dataclass(frozen=True)
class Work:
    """What a stage has to do."""

    flops: float
    bytes_read: float
    layers: int

    def floor_s(self, gpu: Gpu) -> float:
        """Return the least time."""
        return max(self.flops / (gpu.tflops * 1e12), self.bytes_read / (gpu.gb_s * 1e9))

    def guess_s(self, gpu: Gpu, launch_s: float) -> float:
        """Return a likely time, with the time of a layer's launches."""
        slower = Gpu(_REACHED * gpu.tflops, gpu.gb_s, gpu.gib)
        return max(self.floor_s(slower), launch_s * self.layers)


def main() -> int:
    """Print a table for each GPU, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.faster_latency", description=__doc__)
    parser.add_argument("--gpu", action="append", help=", ".join(GPUS))
    parser.add_argument("--report", type=Path, default=Path("out/faster_latency.json"))
    options = parser.parse_args()
    content = heading(["python", "-m", "bench.faster_latency", *sys.argv[1:]], version())
    content["kind"] = "computed, not measured"
    content["gpus"] = []
    for name in options.gpu or ["RTX 2060"]:
        gpu = gpu_named(name)
        rows = [row(case, gpu) for case in CASES]
        content["gpus"].append({"gpu": name, **asdict(gpu), "rows": rows})
        print("\n".join(text_of(name, gpu, rows)), end="\n\n")
    write_report(options.report, content)
    print(f"report: {options.report}")
    return 0


def gpu_named(name: str) -> Gpu:
    """Return a GPU.

    Raises:
        ValueError: If its figures are not here.
    """
    if name not in GPUS:
        raise ValueError(
            f"no figures of a GPU named {name}; expected one of {', '.join(GPUS)}: add its own"
        )
    return GPUS[name]


def row(case: Case, gpu: Gpu) -> dict[str, Any]:
    """Return the floors and guesses of a model on a GPU."""
    stages = work_of(case)
    floors_s = {name: work.floor_s(gpu) for name, work in stages.items()}
    times = {"vision": 1, "prefill": 1, "block": BLOCKS, "tokens_to_actions": 1}

    def whole_ms(seconds: dict[str, float]) -> float:
        return 1e3 * sum(times[name] * seconds[name] for name in times)

    eager = {name: work.guess_s(gpu, _EAGER_S) for name, work in stages.items()}
    graph = {name: work.guess_s(gpu, _GRAPH_S) for name, work in stages.items()}
    weights = parameters_of(case.config, case.layers).total + expert_parameters(case)
    gib = _BYTES * weights / _GIB
    return {
        "backbone": case.name,
        "image_px": case.image_px,
        "context_tokens": context_tokens(case),
        "weights_gib": round(gib, 2),
        "fits": gib + _SPARE_GIB <= gpu.gib,
        "floor_ms": {name: round(1e3 * floor, 3) for name, floor in floors_s.items()},
        "floor_total_ms": round(whole_ms(floors_s), 2),
        "guess_eager_ms": round(whole_ms(eager), 1),
        "guess_graph_ms": round(whole_ms(graph), 1),
    }


def text_of(name: str, gpu: Gpu, rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table."""
    heads = ["backbone", "image", "weights", "context", "vision", "prefill", "a block"]
    heads += ["without expert", "floor", "guess: eager", "guess: graph", f"fits {gpu.gib:g} GiB"]
    cells = []
    for each in rows:
        floor = each["floor_ms"]
        parts = (floor[part] for part in ("vision", "prefill", "block", "block_without_expert"))
        totals = (each[key] for key in ("floor_total_ms", "guess_eager_ms", "guess_graph_ms"))
        cells.append(
            [
                each["backbone"],
                f"{each['image_px']} px",
                f"{each['weights_gib']:.2f} GiB",
                str(each["context_tokens"]),
                *(f"{part:.2f} ms" for part in parts),
                *(f"{total:.1f} ms" for total in totals),
                "yes" if each["fits"] else "no",
            ]
        )
    computed = (
        f"Computed for an {name}, not measured: {gpu.tflops:g} TFLOP/s, {gpu.gb_s:g} GB/s;"
        f" {CAMERAS} cameras, {TEXT_TOKENS} tokens of text, {BLOCKS} blocks of {BLOCK} tokens."
    )
    return [computed, "", *table(heads, cells)]


def work_of(case: Case) -> dict[str, Work]:
    """Return what the stages of a chunk have to do."""
    text, vision = _text(case.config), case.config["vision_config"]
    layers = case.layers or text["num_hidden_layers"]
    own = parameters_of(case.config, case.layers)
    patches, width = _patches(case), vision["hidden_size"]
    seen = 4.0 * width * sum(_patches_seen(case))  # a patch's scores and sums, all layers
    tokens = context_tokens(case)
    heads = text["num_attention_heads"] * _head_width(text)
    expert, pairs = expert_parameters(case), 4.0 * heads * layers
    cache = 2 * layers * tokens * text["num_key_value_heads"] * _head_width(text)
    codes = CODES * text["hidden_size"]
    causal = 1.0 if case.config["model_type"] == "paligemma" else 0.5
    return {
        "vision": Work(
            CAMERAS
            * (
                patches * (2.0 * own.vision + seen)
                + 2.0 * own.projector * _image_tokens(case)
                # positions are added, not multiplied
                - 2.0 * patches * _positions(case.config) * width
            ),
            _BYTES * (own.vision + own.projector),
            len(_patches_seen(case)),
        ),
        "prefill": Work(
            2.0 * tokens * own.decoder + causal * pairs * tokens**2, _BYTES * own.decoder, layers
        ),
        "block": Work(
            2.0 * BLOCK * expert + pairs * BLOCK * tokens, _BYTES * (expert + cache), layers
        ),
        "block_without_expert": Work(
            2.0 * BLOCK * (own.decoder + codes) + pairs * BLOCK * tokens,
            _BYTES * (own.decoder + codes + cache),
            layers,
        ),
        "tokens_to_actions": Work(
            2.0 * _DETOKENIZER * _DETOKENIZER_COLUMNS, _BYTES * _DETOKENIZER, _DETOKENIZER_LAYERS
        ),
    }


def context_tokens(case: Case) -> int:
    """Return S: tokens of all images and of the text."""
    return CAMERAS * _image_tokens(case) + TEXT_TOKENS


def expert_parameters(case: Case) -> int:
    """Return how many numbers an expert has, half as wide as its backbone."""
    text = _text(case.config)
    width = text["hidden_size"] // 2
    hidden = -(-4 * int(2 * width / 3) // 256) * 256  # SmolVLA's rule
    heads, kv_heads = text["num_attention_heads"], text["num_key_value_heads"]
    attention = 2 * width * (heads + kv_heads) * _head_width(text)
    layers = case.layers or text["num_hidden_layers"]
    return layers * (attention + 3 * width * hidden + 2 * width) + (CODES + 3) * width


def parameters_of(config: Config, layers: int | None = None) -> Parameters:
    """Return how many numbers the parts of a backbone have, without its language-modelling head.

    Args:
        config: As in `config.json`.
        layers: Of the decoder; None for all.
    """
    text, vision, kind = _text(config), config["vision_config"], config["model_type"]
    d, hidden = text["hidden_size"], text["intermediate_size"]
    w, inner = vision["hidden_size"], vision["intermediate_size"]
    queries = text["num_attention_heads"] * _head_width(text)
    keys = text["num_key_value_heads"] * _head_width(text)
    layer = 2 * d * (queries + keys) + 3 * d * hidden + 2 * d
    if kind == "qwen2_5_vl":
        layer += queries + 2 * keys  # biases
        merged = vision["spatial_merge_size"] ** 2 * w
        block = 4 * w * w + 4 * w + 3 * w * inner + 2 * inner + w + 2 * w
        stem = 3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2 * w
        projector = w + merged * (merged + 1) + merged * d + d
    else:
        block = 4 * w * w + 4 * w + 2 * w * inner + inner + w + 4 * w
        stem = 3 * vision["patch_size"] ** 2 * w + w + _positions(config) * w + 2 * w
        projector = w * d + d if kind == "paligemma" else w * config["scale_factor"] ** 2 * d
        layer += 2 * d if kind == "paligemma" else 0  # Gemma 2's norms behind each part
    count = vision.get("depth") or vision["num_hidden_layers"]
    return Parameters(
        vision=count * block + stem,
        projector=projector,
        table=text["vocab_size"] * d,
        decoder=(layers or text["num_hidden_layers"]) * layer + d,
    )


def _text(config: Config) -> Config:
    return config.get("text_config", config)


def _head_width(text: Config) -> int:
    return text.get("head_dim", text["hidden_size"] // text["num_attention_heads"])


def _positions(config: Config) -> int:
    """Return how many positions the vision tower knows by heart."""
    vision = config["vision_config"]
    side = vision.get("image_size", 0) // vision["patch_size"]
    return side * side


def _patches(case: Case) -> int:
    return (case.image_px // case.config["vision_config"]["patch_size"]) ** 2


def _patches_seen(case: Case) -> list[int]:
    """Return how many patches a patch attends to, layer by layer of the vision tower."""
    vision, patches = case.config["vision_config"], _patches(case)
    if "depth" not in vision:
        return [patches] * vision["num_hidden_layers"]
    window = (vision["window_size"] // vision["patch_size"]) ** 2
    full = vision["fullatt_block_indexes"]
    return [patches if layer in full else min(window, patches) for layer in range(vision["depth"])]


def _image_tokens(case: Case) -> int:
    config = case.config
    side = config.get("scale_factor") or config["vision_config"].get("spatial_merge_size", 1)
    return _patches(case) // side**2


if __name__ == "__main__":
    sys.exit(main())
