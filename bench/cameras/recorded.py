"""Two cameras recorded by the real nodes: which images are missing, and how their stamps run."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.cameras.sources import RATE_HZ, RECORDING, VIDEO, decoded_small, number_of, write_rig
from carp_ros.console.node_log import NodeLog
from carp_ros.recording.bag import read_messages
from carp_ros.recording.messages import JPEG, decode
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem

_WARM_UP_S = 3.0


def measure_recording(folder: Path, paths: dict[str, Path], seconds: float) -> dict[str, Any]:
    """Record an episode of this length; return what is in it, by camera, and the skew."""
    from carp_ros.clients.recorder_client import recorder_client  # after `enter`

    rig = write_rig(folder, paths)
    place = {"rig": str(rig), "folder": str(folder / "episodes")}
    nodes = (
        NodeProcess("camera_node", "camera_node", {"rig": str(rig)}),
        NodeProcess("recorder_node", "recorder_node", place),
    )
    log = NodeLog(verbose=False)
    try:
        with RunningSystem(nodes, log), recorder_client() as recorder:
            recorder.activate()
            time.sleep(_WARM_UP_S)
            episode = recorder.start()
            time.sleep(seconds)
            said = recorder.stop()
    except BaseException:
        log.replay()
        raise
    found: dict[str, Any] = {"seconds": seconds, "refused": said.lost}
    stamps = {}
    for name in (VIDEO, RECORDING):
        numbers, stamps[name] = _of_camera(Path(episode), name)
        found[name] = _figures(numbers, stamps[name])
    found["skew_ms"] = _skew_ms(stamps[VIDEO], stamps[RECORDING])
    return found


def _of_camera(episode: Path, name: str) -> tuple[list[int], list[int]]:
    numbers, stamps_ns = [], []
    for topic, stamp_ns, cdr in read_messages(episode):
        if topic == f"/{name}/image_raw/compressed":
            numbers.append(number_of(decoded_small(decode(JPEG, cdr).data)))
            stamps_ns.append(stamp_ns)
    return numbers, stamps_ns


def _figures(numbers: list[int], stamps_ns: list[int]) -> dict[str, Any]:
    steps_ms = np.diff(np.array(stamps_ns)) * 1e-6
    return {
        "recorded": len(numbers),
        "expected": numbers[-1] - numbers[0] + 1,
        "lost": sum(max(0, after - before - 1) for before, after in pairwise(numbers)),
        "repeated_or_backwards": sum(after <= before for before, after in pairwise(numbers)),
        "stamps_backwards": int((steps_ms <= 0.0).sum()),
        "step_ms": {
            "least": round(float(steps_ms.min()), 3),
            "median": round(float(np.median(steps_ms)), 3),
            "most": round(float(steps_ms.max()), 3),
        },
        "rate_hz": round((len(stamps_ns) - 1) * 1e9 / (stamps_ns[-1] - stamps_ns[0]), 3),
        "rate_expected_hz": RATE_HZ,
    }


def _skew_ms(stamps_ns: list[int], others_ns: list[int]) -> dict[str, float]:
    """Return how far the nearest image of the second camera is from each one of the first."""
    ours, others = np.array(stamps_ns), np.array(others_ns)
    after = np.clip(np.searchsorted(others, ours), 1, len(others) - 1)
    apart = np.minimum(np.abs(others[after] - ours), np.abs(others[after - 1] - ours)) * 1e-6
    within = (ours >= others[0]) & (ours <= others[-1])
    shares = {"median": 50.0, "p99": 99.0, "most": 100.0}
    return {k: round(float(np.percentile(apart[within], p)), 3) for k, p in shares.items()}
