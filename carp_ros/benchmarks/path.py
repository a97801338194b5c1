"""Latency from a camera's capture to the arm's first command from it: `carp bench --what path`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from carp_ros.benchmarks.full_size_rig import full_size_rig
from carp_ros.console.node_log import NodeLog
from carp_ros.console.progress import Progress
from carp_ros.errors import DeviceError
from carp_ros.evaluation.policy_report import percentiles
from carp_ros.rig import Rig, load_rig
from carp_ros.system.bringup import NodeProcess, describe
from carp_ros.system.running_system import RunningSystem

REPLAN_S = 0.2  # as for a policy that replans fast
_BESIDE = ("transport", "wait", "image_age", "preprocess", "schedule", "total")
"""Stages that are not inference; all others are."""
_WHOLE = ("total", "beyond_inference", "without_wait")


@dataclass(frozen=True)
class PathFigures:
    """The latency of plans, by stage.

    Attributes:
        plans, followed: Plans that were made, and those that the arm executed.
        images_seen_before: Share of the images that were encoded before they were asked for.
        stages_ms: `p50` and `p99` of each stage of the executed plans, of their `total`, of what is
            `beyond_inference`, and of that `without_wait`.
        load: The machine's load average over the last minute, at the end.
    """

    plans: int
    followed: int
    images_seen_before: float
    stages_ms: dict[str, dict[str, float]]
    load: float

    @property
    def sum_of_parts_ms(self) -> float:
        """Sum of the stages' medians."""
        return sum(stage["p50"] for name, stage in self.stages_ms.items() if name not in _WHOLE)


def measure_path(path: Path, bundle: str, seconds: float) -> PathFigures:
    """Measure the latency.

    Args:
        path: A simulated rig's file; its cameras are set to full size.
        bundle: The policy's folder, or its name in models/; empty for the package's own.
        seconds: Duration of the measurement.

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
    return PathFigures(len(rows), len(followed), seen, stages, load)


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
    more = {"camera_node": {"still": True}, "policy_node": {"replan_s": REPLAN_S}}
    return replace(node, parameters={**node.parameters, **more.get(node.name, {})})
