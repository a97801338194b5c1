"""`carp bench --what path`: latency from a camera's capture to the arm's first command from it."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from carp_ros.benchmarks.full_size_rig import full_size_rig
from carp_ros.console.node_log import NodeLog
from carp_ros.console.progress import Progress
from carp_ros.errors import DeviceError
from carp_ros.evaluation.policy_report import percentiles
from carp_ros.evaluation.report import heading, write_report
from carp_ros.rig import Rig, load_rig
from carp_ros.share import version
from carp_ros.system.bringup import NodeProcess, describe
from carp_ros.system.running_system import RunningSystem

_REPLAN_S = 0.2  # as for a policy that replans fast
_BESIDE = ("transport", "wait", "image_age", "preprocess", "schedule", "total")
"""Stages that are not inference; all others are."""


def measure_path(path: Path, bundle: str, seconds: float, report: Path) -> int:
    """Measure the latency, print a table, write the report; return 0.

    Args:
        path: A simulated rig's file; its cameras are set to full size.
        bundle: The policy's folder, or its name in models/; empty for the package's own.
        seconds: Duration of the measurement.
        report: JSON file for the results.

    Raises:
        DeviceError: If the system does not come up, or the arm executes no plan.
    """
    log = NodeLog(verbose=False)
    try:
        with tempfile.TemporaryDirectory(prefix="carp_") as place:
            rig = load_rig(full_size_rig(path, Path(place)))
            rows, seen, load = _rows(rig, bundle, seconds, log)
    except DeviceError:
        log.replay()
        raise
    followed = [row for row in rows if "total" in row]
    if not followed:
        raise DeviceError(f"the arm executed none of {len(rows)} plans; see carp demo --verbose")
    names = [name for name in followed[0] if name != "image_age"]
    stages = {name: percentiles([row[name] for row in followed]) for name in names}
    inference = [sum(ms for name, ms in row.items() if name not in _BESIDE) for row in followed]
    beyond = [row["total"] - inference_ms for row, inference_ms in zip(followed, inference)]
    own = [extra - row["wait"] for extra, row in zip(beyond, followed)]
    stages |= {"beyond_inference": percentiles(beyond), "without_wait": percentiles(own)}
    print(f"{len(followed)} of {len(rows)} plans executed; images encoded early: {seen:.0%}")
    print(f"{'ms':<18}{'p50':>8}{'p99':>8}")
    for name, figures in stages.items():
        print(f"{name:<18}{figures['p50']:>8.1f}{figures['p99']:>8.1f}")
    parts = sum(stages[name]["p50"] for name in names if name != "total")
    print(f"{'sum of the parts':<18}{parts:>8.1f}")
    content = {
        **heading(["carp", *sys.argv[1:]], version()),
        "load": load,
        "seconds": seconds,
        "replan_s": _REPLAN_S,
        "plans": len(rows),
        "followed": len(followed),
        "images_seen_before": round(seen, 3),
        "stages_ms": stages,
        "sum_of_parts_ms": round(parts, 3),
    }
    write_report(report, content)
    print(f"report: {report}")
    return 0


def _rows(
    rig: Rig, bundle: str, seconds: float, log: NodeLog
) -> tuple[list[dict[str, float]], float, float]:
    """Return each plan's stages in [ms], the share of images encoded in advance, and the load."""
    from carp_ros.benchmarks.path_node import PathNode  # after `enter`
    from carp_ros.ros.spinning_node import taking_part

    nodes = tuple(_adapted(node) for node in describe(rig, "policy", bundle=bundle))
    progress = Progress(int(seconds), "s")
    with RunningSystem(nodes, log) as system:
        system.wait_until_ready(90.0)
        with taking_part(PathNode) as node:
            node.measure(seconds, progress.show)
            load, rows = os.getloadavg()[0], node.chunks.stages_ms()
            seen = np.mean([sent.encoded_ahead for sent in node.chunks.sent])
    return rows, float(seen) / len(rig.cameras), load


def _adapted(node: NodeProcess) -> NodeProcess:
    """Adapt a node to the measurement: cameras repeat one image, the policy is asked often."""
    more = {"camera_node": {"still": True}, "policy_node": {"replan_s": _REPLAN_S}}
    return replace(node, parameters={**node.parameters, **more.get(node.name, {})})
