"""How long a network takes to plan: one state at a time, one thread, in ONNX Runtime."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.metaworld.demonstrations import TASKS, read_demonstrations
from bench.metaworld.jobs import LATENCY, Job
from bench.metaworld.planner import Planner
from carp_ros.evaluation.report import machine, write_report

_WARM_UP = 20


def measure(jobs: list[Job], out: Path, demonstrations: Path, count: int) -> None:
    """Write how long each job's network took for states of the demonstrations.

    Args:
        jobs: Whose networks.
        out: Where they are.
        demonstrations: States to plan from.
        count: Plans of each.
    """
    rows = [_measured(job, out, demonstrations, count) for job in jobs]
    content = {"plans": count, "rows": rows, "machine": machine()}
    write_report(out / LATENCY, content | {"date": datetime.now(UTC).strftime("%Y-%m-%d")})


def _measured(job: Job, out: Path, demonstrations: Path, count: int) -> dict[str, Any]:
    data = read_demonstrations(demonstrations)
    planner = Planner(job, out)
    planner.begin(job.tasks[0])
    of_task = np.repeat(data.tasks, data.lengths) == TASKS.index(job.tasks[0])
    states = data.states[of_task]
    picked = states[np.linspace(0, len(states) - 1, count + _WARM_UP).astype(int)]
    taken_s = []
    for state in picked:
        begin_s = time.perf_counter()
        planner(state)
        taken_s.append(time.perf_counter() - begin_s)
    p50_s, p99_s = np.percentile(taken_s[_WARM_UP:], (50, 99))
    print(f"{job.name}: {1e3 * p50_s:.2f} ms, at the 99th percentile {1e3 * p99_s:.2f} ms")
    times = {"p50_ms": round(1e3 * float(p50_s), 3), "p99_ms": round(1e3 * float(p99_s), 3)}
    return {"method": job.method, "subject": job.subject, "seed": job.seed, **times}
