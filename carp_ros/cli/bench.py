"""`carp bench`: the servo's timing, the recorder's losses, latency, and policies' speed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from carp_ros.benchmarks.bench_process import PeerCase
from carp_ros.benchmarks.full_size_rig import HEIGHT_PX, RATE_HZ, WIDTH_PX
from carp_ros.benchmarks.path import REPLAN_S, measure_path
from carp_ros.benchmarks.policies import measure_policies
from carp_ros.benchmarks.policy_bench import CaseFigures
from carp_ros.benchmarks.recorder import recorder_loads
from carp_ros.benchmarks.servo import measure_round_trip, servo_timings
from carp_ros.cli import bench_tables
from carp_ros.cli.options import Count, Text
from carp_ros.evaluation.report import heading, require_writable, write_report
from carp_ros.processes.ros_environment import enter
from carp_ros.share import cache_folder, version
from carp_ros.strict import Between, Matching, Sized
from carp_ros.system.bringup import rig_path, simulated_rig

PEERS_ENVIRONMENT = "lerobot-0.4.4"
_NAMES = Matching(r"[^\x00-\x1f\x7f]{1,300}", "names or folders")

Figures = tuple[dict[str, Any], bool]
"""Of a report, and whether they are as they should be."""


@dataclass(frozen=True)
class BenchCommand:
    """Measure the servo's timing, the recorder, camera-to-arm latency, or policies.

    servo: starts the whole system with the scripted operator, and measures how late the servo's
    500 Hz ticks wake: with and without a real-time priority, without other load and with every core
    kept busy by other work. Then measures the latency from servoJ until the robot's state shows the
    joint target.

    recorder: publishes two 640 x 480 cameras at 30 Hz and the arm's topics without a rig, records
    them raw and as JPEG, and reports losses, CPU time and memory.

    path: starts the whole system with a policy that plans five times a second, and cameras that
    repeat one 640 x 480 image, as rendering is not part of a real robot; measures the latency, by
    stage, from a capture to the first command that reaches the arm because of it.

    policy: runs bundles without a rig, a few chunks of each in turn, on the GPU if there is one,
    and on the CPU with one thread and with one per core. Reports a chunk's latency by stage, load
    time, memory, and the share of the time that the matrix products alone would need at this
    machine's peak. With --peers, also measures the paper's presets with random weights, and other
    projects' policies with the same inputs, with one thread each.

    Attributes:
        what: servo, recorder, path or policy.
        seconds: Duration of each case; for policies, see `chunks`.
        chunks: Number of chunks per policy.
        bundles: Compiled policies, as folders or names in models/; default: all in models/. `path`
            uses the first one; default: the package's own.
        peers: Also measure lerobot's ACT and Diffusion Policy in the same run; takes half an hour.
        peers_environment: Environment with lerobot, as bench/peers/environment.sh creates it.
        published_carp: Folder `singletask` of the published CARP, to measure it as well.
        report: JSON file to write the figures to; default: out/bench_<what>.json.
        rig: A simulated rig's file, or the name of one in config/.
        folder: Folder on the disk that the recorder writes to; default: a temporary one.
    """

    what: Literal["servo", "recorder", "path", "policy"] = "servo"
    seconds: Annotated[float, Between(0.1, 86_400.0)] = 60.0
    chunks: Count = 300
    bundles: Annotated[tuple[str, ...], Sized(0, 100), _NAMES] = ()
    peers: bool = False
    peers_environment: Path = field(default_factory=lambda: cache_folder() / PEERS_ENVIRONMENT)
    published_carp: Path | None = None
    report: Path | None = None
    rig: Text = "ur5e_sim"
    folder: Path | None = None


def main(command: BenchCommand) -> int:
    """Measure all cases, print a table, write the report; return 1 if the recorder lost frames."""
    report = command.report or Path(f"out/bench_{command.what}.json")
    require_writable(report)
    if command.what != "policy":  # which needs no ROS
        enter()
    figures, is_good = _MEASURED[command.what](command)
    write_report(report, {**heading(["carp", *sys.argv[1:]], version()), **figures})
    print(f"report: {report}")
    return 0 if is_good else 1


def _servo(command: BenchCommand) -> Figures:
    path = rig_path(command.rig)
    rig = simulated_rig(path)
    print(f"servo at {rig.servo.rate_hz:.0f} Hz, cameras and ROS running, {command.seconds:.0f} s")
    print(bench_tables.SERVO)
    timings = []
    for timing in servo_timings(path, command.seconds):
        timings.append(asdict(timing))
        print(bench_tables.servo_row(timing), flush=True)
    round_trip = measure_round_trip(rig)
    if round_trip is not None:
        print(
            f"servoJ to robot state: p50 {round_trip['p50_ms']:.2f} ms, p99"
            f" {round_trip['p99_ms']:.2f} ms ({round_trip['samples']} steps)"
        )
    return {"seconds_each": command.seconds, "servo": timings, "round_trip": round_trip}, True


def _recorder(command: BenchCommand) -> Figures:
    rate = f"two {WIDTH_PX} x {HEIGHT_PX} cameras at {RATE_HZ:.0f} Hz"
    print(f"{rate}, {command.seconds:.0f} s each\n{bench_tables.RECORDER}")
    loads = []
    for load in recorder_loads(rig_path(command.rig), command.seconds, command.folder):
        loads.append(load)
        print(bench_tables.recorder_row(load), flush=True)
    figures = {"seconds_each": command.seconds, "recorder": [asdict(load) for load in loads]}
    return figures, all(load.is_whole for load in loads)


def _path(command: BenchCommand) -> Figures:
    bundle = next(iter(command.bundles), "")
    figures = measure_path(rig_path(command.rig), bundle, command.seconds)
    for line in bench_tables.path_lines(figures):
        print(line)
    return {
        "seconds": command.seconds,
        "replan_s": REPLAN_S,
        **asdict(figures),
        "sum_of_parts_ms": round(figures.sum_of_parts_ms, 3),
    }, True


def _policy(command: BenchCommand) -> Figures:
    environment = command.peers_environment if command.peers else None
    measured, absent = measure_policies(
        command.bundles, command.chunks, environment, command.published_carp
    )
    for reason in absent:
        print(f"not measured: {reason}")
    print(f"{command.chunks} chunks of each, in turn; ms, p50/p99/max")
    for line in bench_tables.policy_lines(measured):
        print(line)
    return {
        "onnxruntime": metadata.version("onnxruntime"),
        "load": os.getloadavg()[0],
        "chunks_each": command.chunks,
        "not_measured": absent,
        "policies": [_entry(row) for row in measured],
    }, True


def _entry(row: CaseFigures) -> dict[str, Any]:
    case, share, peak = row.case, row.share_of_floor, row.peak_gflop_s
    return {
        "policy": case.name,
        "kind": "peer" if isinstance(case, PeerCase) else "bundle",
        "runtime": case.runtime,
        "threads": case.threads,
        "start_s": round(row.started.seconds, 3),
        "memory_mb": row.started.memory_mb and round(row.started.memory_mb, 1),
        "parameters": row.started.parameters,
        "chunks": row.chunks,
        "stages_ms": row.stages_ms,
        "gflop": row.started.gflop,
        "peak_gflop_s": peak and round(peak, 1),
        "share_of_floor": share and round(share, 3),
    }


_MEASURED: dict[str, Callable[[BenchCommand], Figures]] = {
    "servo": _servo,
    "recorder": _recorder,
    "path": _path,
    "policy": _policy,
}
