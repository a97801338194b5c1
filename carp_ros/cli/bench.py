"""`carp bench`: the servo's timing, the recorder's losses, latency, and policies' speed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from carp_ros.benchmarks.path import measure_path
from carp_ros.benchmarks.recorder import measure_recorder
from carp_ros.cli.options import Count, Text
from carp_ros.console.node_log import NodeLog
from carp_ros.control.command import ServoLink, link_name
from carp_ros.control.realtime import (
    Lateness,
    count_later_than,
    lateness_quantile_s,
)
from carp_ros.errors import DeviceError
from carp_ros.evaluation.report import heading, write_report
from carp_ros.files.plain_yaml import load_mapping, yaml_from_mapping
from carp_ros.processes.ros_environment import enter
from carp_ros.rig import Rig, load_rig
from carp_ros.share import cache_folder, version
from carp_ros.sim.controllers import controller_command
from carp_ros.strict import Between, Matching, Sized
from carp_ros.system.bringup import describe, rig_path, simulated_rig
from carp_ros.system.running_system import RunningSystem

PEERS_ENVIRONMENT = "lerobot-0.4.4"
_NAMES = Matching(r"[^\x00-\x1f\x7f]{1,300}", "names or folders")


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


@dataclass(frozen=True)
class Timing:
    """The figures of one case.

    Attributes:
        busy: Whether other work kept every core busy.
        priority: The servo's SCHED_FIFO priority, 0 for none.
        rate_hz: Ticks per second.
        ticks, skipped: Number of ticks that ran, and that were skipped.
        late_half_ms, late_1_ms: Share of the ticks that woke more than 0.5 ms and 1 ms late.
        p50_ms, p99_ms, p999_ms: Quantiles of the lateness.
        load: The machine's load average over the last minute, at the end.
    """

    busy: bool
    priority: int
    rate_hz: float
    ticks: int
    skipped: int
    late_half_ms: float
    late_1_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    load: float


def main(command: BenchCommand) -> int:
    """Measure all cases, print a table, write the report; return 0."""
    report = command.report or Path(f"out/bench_{command.what}.json")
    if command.what == "policy":
        from carp_ros.benchmarks.policies import measure_policies

        environment = command.peers_environment if command.peers else None
        return measure_policies(
            command.bundles, command.chunks, report, environment, command.published_carp
        )
    enter()
    path = rig_path(command.rig)
    if command.what == "recorder":
        return measure_recorder(path, command.seconds, command.folder, report)
    if command.what == "path":
        return measure_path(path, next(iter(command.bundles), ""), command.seconds, report)
    rig = simulated_rig(path)
    print(f"servo at {rig.servo.rate_hz:.0f} Hz, cameras and ROS running, {command.seconds:.0f} s")
    print("other work  priority       Hz  skipped   > 0.5 ms     > 1 ms  p50 ms  p99 ms  p99.9 ms")
    timings = []
    with tempfile.TemporaryDirectory(prefix="carp_") as folder:
        for priority in (rig.servo.priority, 0):
            copy = _with_priority(path, priority, Path(folder))
            for busy in (False, True):
                timing = _measure(copy, command.seconds, busy=busy)
                timings.append(timing)
                print(_row(timing), flush=True)
    round_trip = _round_trip(rig) if rig.arm.driver == "ur" else None
    if round_trip is not None:
        print(
            f"servoJ to robot state: p50 {round_trip['p50_ms']:.2f} ms, p99"
            f" {round_trip['p99_ms']:.2f} ms ({round_trip['samples']} steps)"
        )
    content = {
        **heading(["carp", *sys.argv[1:]], version()),
        "seconds_each": command.seconds,
        "servo": [asdict(timing) for timing in timings],
        "round_trip": round_trip,
    }
    write_report(report, content)
    print(f"report: {report}")
    return 0


def _row(timing: Timing) -> str:
    return (
        f"{'every core' if timing.busy else 'none':>10}{timing.priority:>10}{timing.rate_hz:>9.1f}"
        f"{timing.skipped:>9}{timing.late_half_ms:>11.3%}{timing.late_1_ms:>11.3%}"
        f"{timing.p50_ms:>8.3f}{timing.p99_ms:>8.3f}{timing.p999_ms:>10.3f}"
    )


def _with_priority(path: Path, priority: int, folder: Path) -> Path:
    """Return a copy of a rig file with another priority of the servo."""
    content = load_mapping(path)
    content.setdefault("servo", {})["priority"] = priority
    copy = folder / str(priority) / path.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(yaml_from_mapping(content), encoding="utf-8")
    return copy


def _measure(path: Path, seconds: float, *, busy: bool) -> Timing:
    """Run the scripted operator for a while and measure the servo's lateness."""
    from carp_ros.clients.trial_node import trial_node  # after `enter`

    rig = load_rig(path)
    log = NodeLog(verbose=False)
    try:
        with RunningSystem(describe(rig, "demonstrate"), log) as system:
            system.wait_until_ready(90.0)
            link = ServoLink(link_name(system.pid("control_node")), create=False)
            with trial_node(rig) as node, _other_work(busy):
                begin_s = time.monotonic()
                before = _lateness(link)
                seed = 0
                while time.monotonic() - begin_s < seconds:
                    left_s = seconds - (time.monotonic() - begin_s)
                    # without a priority, a busy machine may stop the arm: keep measuring
                    with contextlib.suppress(DeviceError):
                        node.conduct(seed, max(left_s, 1.0), lambda text: None)
                    seed += 1
                return _timing(link, before, time.monotonic() - begin_s, busy=busy)
    except DeviceError:
        log.replay()
        raise


@contextlib.contextmanager
def _other_work(busy: bool) -> Iterator[None]:
    """Keep every core busy during the block, at normal priority."""
    count = len(os.sched_getaffinity(0)) if busy else 0
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def _lateness(link: ServoLink) -> dict[str, Any]:
    record = link.lateness.read()
    if record is None:
        return {"counts": np.zeros(Lateness.BINS + 1, np.int64), "skipped": 0}
    return {"counts": record["counts"].copy(), "skipped": int(record["skipped"])}


def _timing(link: ServoLink, before: dict[str, Any], seconds: float, *, busy: bool) -> Timing:
    after = _lateness(link)
    counts = after["counts"] - before["counts"]
    ticks = int(counts.sum())
    state = link.state.read()
    return Timing(
        busy=busy,
        priority=int(state["priority"]) if state is not None else 0,
        rate_hz=round(ticks / seconds, 2),
        ticks=ticks,
        skipped=after["skipped"] - before["skipped"],
        late_half_ms=count_later_than(counts, 500_000) / max(ticks, 1),
        late_1_ms=count_later_than(counts, 1_000_000) / max(ticks, 1),
        p50_ms=round(lateness_quantile_s(counts, 0.5) * 1e3, 3),
        p99_ms=round(lateness_quantile_s(counts, 0.99) * 1e3, 3),
        p999_ms=round(lateness_quantile_s(counts, 0.999) * 1e3, 3),
        load=os.getloadavg()[0],
    )


def _round_trip(rig: Rig) -> dict[str, Any]:
    """Measure servoJ to target_q in the robot's state, in a process with its own priority.

    Raises:
        DeviceError: If the measuring process failed.
    """
    command = [*controller_command(rig), "--fault-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout is not None
            controller.stdout.readline()
            measuring = subprocess.run(
                [sys.executable, "-m", "carp_ros.benchmarks.round_trip", str(rig.file.path)],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            controller.terminate()
    if measuring.returncode:
        raise DeviceError(f"the round trip could not be measured: {measuring.stderr.strip()}")
    delays_ms = np.array([float(line) for line in measuring.stdout.split()])
    return {
        "samples": len(delays_ms),
        "p50_ms": round(float(np.percentile(delays_ms, 50)), 3),
        "p99_ms": round(float(np.percentile(delays_ms, 99)), 3),
        "max_ms": round(float(delays_ms.max()), 3),
    }
