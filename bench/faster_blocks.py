"""`python -m bench.faster_blocks`: FASTer's tokens a level at once against one by one.

Two untrained bundles of the same sizes, of which one predicts a level of the tokenizer in a pass
and the other a token, are asked about the same observations in turn. What their passes cost does
not depend on their weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from bench.markdown import table
from carp_ros.evaluation.report import heading, write_report
from carp_ros.export.training_run import export_network
from carp_ros.inference.layout import TOOL, tcp_pose_from_vector
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import Policy
from carp_ros.share import version
from carp_ros.training.faster import FasterFamily
from carp_ros.training.faster_tokenizer import FasterTokenizerKind
from carp_ros.training.windows import Windows
from carp_ros.types import Observation

_CAMERAS: tuple[str, ...] = ("wrist_cam", "third_cam")
_TASK = "put the red cup on the green field"
_WINDOWS = 256
_WARM_UP = 10
_BLOCKS = {"a level": 0, "a token": 1}
"""Tokens of a pass, as `FasterRecipe.block` has it."""


def main() -> int:
    """Measure, print a table and write the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.faster_blocks", description=__doc__)
    parser.add_argument("--plans", type=int, default=200, help="of each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path("out/faster_blocks.json"))
    options = parser.parse_args()
    if options.plans < 1:
        raise ValueError(f"--plans is {options.plans}; expected at least 1")
    content = heading(["python", "-m", "bench.faster_blocks", *sys.argv[1:]], version())
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), options.plans, options.threads)
    content |= {"load_average": os.getloadavg()[0], "threads": options.threads, "ways": found}
    write_report(options.report, content)
    print("\n".join(_table(found)))
    print(f"report: {options.report}")
    return 0


def measure(folder: Path, plans: int, threads: int) -> dict[str, Any]:
    """Return, by way, the passes of a plan and each stage's p50 and p99 in [ms].

    Args:
        folder: Where the bundles are written.
        plans: Of each, in turn.
        threads: Of each operator.
    """
    policies: dict[str, Policy] = {}
    passes: dict[str, int] = {}
    for way, block in _BLOCKS.items():
        place = folder / way.replace(" ", "_")
        passes[way] = _write(place, block)
        runtime = OnnxRuntime(threads=threads)
        policies[way] = load_policy(place, _TASK, time.perf_counter_ns, runtime=runtime)
    seconds: dict[str, dict[str, list[float]]] = {way: {} for way in policies}
    rng = np.random.default_rng(0)
    for number in range(_WARM_UP + plans):
        seen = _observation(rng, number)
        for way, policy in policies.items():
            prediction = policy.infer([seen])
            if number < _WARM_UP:
                continue
            for stage, took_s in {**prediction.stages, "total": prediction.seconds}.items():
                seconds[way].setdefault(stage, []).append(took_s)
    return {
        way: {
            "passes": passes[way],
            "ms": {stage: _percentiles(took_s) for stage, took_s in stages.items()},
        }
        for way, stages in seconds.items()
    }


def _write(folder: Path, block: int) -> int:
    """Write an untrained bundle; return how many passes make its plan."""
    rng = np.random.default_rng(0)
    family, tokens = FasterFamily(), FasterTokenizerKind()
    recipe = dataclasses.replace(family.presets["cpu-small"], block=block)
    tokenizing = tokens.presets["cpu-small"]
    states = rng.normal(0.4, 0.1, (_WINDOWS, len(TOOL))).astype(np.float32)
    steps = tokenizing.network.horizon
    actions = rng.normal(0.4, 0.1, (_WINDOWS, steps, len(TOOL))).astype(np.float32)
    zeros = np.zeros(_WINDOWS, np.int64)
    data = Windows(states, actions, zeros, zeros, (_TASK,))
    tokenizer = tokens.make(tokenizing, data, 0).eval()
    network = family.make(recipe, tokenizer, _CAMERAS, data, 0).eval()
    with torch.no_grad():
        for weight in network.vla.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    width, height = recipe.image_encoder.image_px
    example = {
        f"image_{name}": rng.integers(0, 256, (1, height, width, 3), np.uint8) for name in _CAMERAS
    }
    example["state"] = states[:1]
    layout = dataclasses.asdict(TOOL.spanning((-1.0,) * len(TOOL), (1.0,) * len(TOOL)))
    config = {
        "kind": "policy",
        "policy": "faster",
        "seed": 0,
        "rig": "none",
        "step_s": 0.1,
        "cameras": list(_CAMERAS),
        "tasks": [_TASK],
        "state": layout,
        "action": layout,
        "tokenizer": dataclasses.asdict(tokenizer.config),
        "tokenizer_kind": "faster",
        "recipe": dataclasses.asdict(recipe),
    }
    made = {"untrained": "cpu-small"}
    export_network(network, recipe.image_encoder, example, config, folder, made)
    return network.vla.expert.config.blocks


def _observation(rng: np.random.Generator, number: int) -> Observation:
    stamp_ns = number * 100_000_000
    pose, closure = tcp_pose_from_vector(np.array([0.4, 0, 0.2, 1, 0, 0, 0, 1, 0, 0.5]))
    images = {name: rng.integers(0, 256, (240, 320, 3), np.uint8) for name in _CAMERAS}
    stamps_ns = dict.fromkeys(_CAMERAS, stamp_ns)
    return Observation(stamp_ns, images, stamps_ns, pose, closure, np.zeros(6))


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1e3 * value for value in seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"p50": round(statistics.median(ordered), 3), "p99": round(p99, 3)}


def _table(found: dict[str, Any]) -> list[str]:
    stages = list(next(iter(found.values()))["ms"])
    rows = [
        [
            f"{way} a pass",
            str(of_way["passes"]),
            *(
                f"{of_way['ms'][stage]['p50']:.1f} / {of_way['ms'][stage]['p99']:.1f}"
                for stage in stages
            ),
        ]
        for way, of_way in found.items()
    ]
    return table(["FASTer, ms p50 / p99", "passes", *stages], rows)


if __name__ == "__main__":
    sys.exit(main())
