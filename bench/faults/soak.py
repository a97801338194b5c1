"""What a long run of the recording, policy-driven system leaves behind."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.faults.live import MODES, own_domain
from bench.faults.live_system import LiveSystem, figures_of, tracebacks
from bench.faults.watch import Watch
from carp_ros.errors import DeviceError
from carp_ros.evaluation.report import heading, write_report
from carp_ros.rig import load_rig
from carp_ros.ros.spinning_node import taking_part
from carp_ros.share import version

_SETTLED_S = 20.0
_EPISODE_S = 30.0


def soak(minutes: float, path: Path) -> dict[str, Any]:
    """Run the system for so long, with an episode every half minute, and write what it held.

    Args:
        minutes: How long.
        path: Of the report.
    """
    own_domain()
    with tempfile.TemporaryDirectory(prefix="faults_", ignore_cleanup_errors=True) as folder:
        system = LiveSystem(Path(folder), MODES[0])
        try:
            system.start()
            rig = load_rig(system.rig_path)
            with taking_part(lambda: Watch(rig, MODES[0])) as watch:
                content = _soaked(system, watch, minutes)
        finally:
            left = system.stop()
        content["left_behind"] = left
        words = ["python", "-m", "bench.faults", "soak", "--minutes", f"{minutes:g}"]
        content = {**heading(words, version()), **content}
        write_report(path, content)
        return content


def _soaked(system: LiveSystem, watch: Watch, minutes: float) -> dict[str, Any]:
    watch.ensure_moving(60.0)
    time.sleep(_SETTLED_S)
    start = _figures(system)
    begin_s, episodes, standing, dangers = time.monotonic(), 0, 0, []
    aim_m_s = tool_m_s = 0.0
    lines = system.new_lines()
    while time.monotonic() - begin_s < minutes * 60:
        watch.mark()
        until_s = time.monotonic() + _EPISODE_S
        while time.monotonic() < until_s:
            standing += not watch.ensure_moving()
            time.sleep(0.5)
        dangers += watch.dangers()
        aim_m_s, tool_m_s = np.maximum((aim_m_s, tool_m_s), watch.speeds()).tolist()
        try:
            watch.trigger("recorder/stop")
            episodes += 1
        except DeviceError:
            standing += 1
        time.sleep(1.0)
        lines += system.new_lines()
        if system.up is None:
            break
    return {
        "minutes": round((time.monotonic() - begin_s) / 60, 2),
        "episodes": episodes,
        "did_not_move": standing,
        "dangers": dangers,
        "fastest_aim_m_s": round(aim_m_s, 3),
        "fastest_tool_m_s": round(tool_m_s, 3),
        "tracebacks": tracebacks(lines),
        "lines_a_minute": round(len(lines) / max(minutes, 0.1), 1),
        "start": start,
        "end": _figures(system),
        "load": os.getloadavg()[0],
    }


def _figures(system: LiveSystem) -> dict[str, Any]:
    """Return what each process holds, and what lies in shared memory, logs and temporary files."""
    processes = {name: figures_of(pid) for name, pid in sorted(system.processes().items())}
    shared = [path for path in Path("/dev/shm").iterdir() if path.is_file()]
    return {
        "processes": processes,
        "shared_memory": {"files": len(shared), "mb": _mb(shared)},
        "log_mb": _mb([system.log, *(system.folder / "ros_log").rglob("*")]),
        "temporary_mb": _mb(list(system.temporary.rglob("*"))),
    }


def _mb(paths: list[Path]) -> float:
    return round(sum(path.stat().st_size for path in paths if path.is_file()) / 1e6, 3)


def table(content: dict[str, Any]) -> str:
    """Return start and end of each process for people."""
    rows = [f"{'process':<28}{'PSS MB':>16}{'RSS MB':>16}{'descriptors':>14}{'threads':>12}"]
    start, end = content["start"]["processes"], content["end"]["processes"]
    for name in sorted(start | end):
        a, b = start.get(name), end.get(name)
        cells = [
            f"{(a or {}).get(key, '-')} > {(b or {}).get(key, '-')}"
            for key in ("pss_mb", "rss_mb", "descriptors", "threads")
        ]
        rows.append(f"{name:<28}{cells[0]:>16}{cells[1]:>16}{cells[2]:>14}{cells[3]:>12}")
    for what in ("shared_memory", "log_mb", "temporary_mb"):
        rows.append(f"{what}: {content['start'][what]} > {content['end'][what]}")
    return "\n".join(rows)
