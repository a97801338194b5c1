"""Where a plan's time goes, operator by operator: `python -m bench.operators`.

Runs the graphs of the paper's presets, with weights by chance, in ONNX Runtime's profiler with one
thread, and sums by kind of operator. The profiler adds about 1.5 us to each operator.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime

from carp_ros.benchmarks.peers import preset_cases
from carp_ros.evaluation.report import heading, write_report
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.share import version

_RESULTS = Path(__file__).parent / "results" / "operators.json"
_RUNS, _WARM_UP = 60, 15


def main() -> int:
    """Write the report; return the exit code."""
    presets: dict[str, Any] = {}
    with TemporaryDirectory(prefix="carp_") as folder:
        for case in preset_cases(Path(folder) / "presets"):
            presets[case.name] = _operators(load_bundle(case.bundle), Path(folder))
            print(f"{case.name}: {presets[case.name]['us']:.0f} us")
            for kind, (count, us) in presets[case.name]["operators"].items():
                print(f"  {kind:<30}{count:>5}{us:>9.0f} us")
    content = {
        **heading(["python", "-m", "bench.operators"], version()),
        "onnxruntime": onnxruntime.__version__,
        "load": os.getloadavg()[0],
        "presets": presets,
    }
    write_report(_RESULTS, content)
    return 0


def _operators(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Return how many operators of each kind a plan takes, and how long, in [us]."""
    counts: Counter[str] = Counter()
    times_us: dict[str, float] = {}
    for name in bundle.manifest.graphs:
        for kind, us in _of_graph(bundle.graph(name), folder / name):
            counts[kind] += 1
            times_us[kind] = times_us.get(kind, 0.0) + us
    slowest_first = sorted(times_us.items(), key=lambda item: -item[1])
    operators = {kind: [counts[kind], round(us)] for kind, us in slowest_first}
    return {"us": round(sum(times_us.values())), "operators": operators}


def _of_graph(path: Path, prefix: Path) -> list[tuple[str, float]]:
    """Return the kind of each operator of a graph, and its median time in [us]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs = {
        x.name: rng.integers(0, 256, x.shape, np.uint8)
        if x.type == "tensor(uint8)"
        else rng.normal(size=x.shape).astype(np.float32)
        for x in session.get_inputs()
    }
    for _ in range(_RUNS):
        session.run(None, inputs)
    runs: dict[str, list[float]] = {}
    kinds: dict[str, str] = {}
    for event in json.loads(Path(session.end_profiling()).read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            runs.setdefault(event["name"], []).append(event["dur"])
            kinds[event["name"]] = event["args"]["op_name"]
    return [(kinds[name], median(times[_WARM_UP:])) for name, times in runs.items()]


if __name__ == "__main__":
    sys.exit(main())
