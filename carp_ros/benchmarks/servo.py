"""The servo's timing, in the whole system; for `carp bench --what servo`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.console.node_log import NodeLog
from carp_ros.control.command import ServoLink, link_name
from carp_ros.control.realtime import Lateness, count_later_than, lateness_quantile_s
from carp_ros.errors import DeviceError
from carp_ros.files.plain_yaml import load_mapping, yaml_from_mapping
from carp_ros.rig import Rig, load_rig
from carp_ros.sim.controllers import controller_command
from carp_ros.system.bringup import describe
from carp_ros.system.running_system import RunningSystem


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


def servo_timings(path: Path, seconds: float) -> Iterator[Timing]:
    """Yield the servo's timing, with and without a priority, without and with other work.

    Args:
        path: A simulated rig's file.
        seconds: Duration of each case.

    Raises:
        DeviceError: If the system does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="carp_") as folder:
        for priority in (load_rig(path).servo.priority, 0):
            copy = _with_priority(path, priority, Path(folder))
            for busy in (False, True):
                yield _measure(copy, seconds, busy=busy)


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


def measure_round_trip(rig: Rig) -> dict[str, Any] | None:
    """Measure servoJ to target_q in the robot's state, in a process with its own priority.

    Returns:
        `samples`, `p50_ms`, `p99_ms` and `max_ms`; None for an arm that has no servoJ.

    Raises:
        DeviceError: If the measuring process failed.
    """
    if rig.arm.driver != "ur":
        return None
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
