"""`carp bench --what policy`: how long bundles take for a chunk, and to start."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

from carp_ros.bringup import bundle_path
from carp_ros.cli.progress import Progress
from carp_ros.errors import DeviceError
from carp_ros.evaluation.policy_bench import Case, CaseFigures, measure_cases
from carp_ros.evaluation.report import heading, write_report
from carp_ros.inference.choose_runtime import RUNTIMES, RuntimeName, choose_runtime
from carp_ros.share import share_folder, version


def measure_policies(bundles: tuple[str, ...], chunks: int, report: Path) -> int:
    """Measure bundles with one thread and with all cores, print a table, write the report.

    Args:
        bundles: Folders, or names in models/; none for all that come with the package.
        chunks: Of each.
        report: Where to write the figures, as JSON.
    """
    models = share_folder() / "models"
    names = bundles or tuple(sorted(path.parent.name for path in models.glob("*/policy.yaml")))
    ways, absent = _ways()
    cases = [Case(bundle_path(name), runtime, count) for name in names for runtime, count in ways]
    progress = Progress(chunks, "chunks of each")
    figures = measure_cases(cases, chunks, progress=progress.show)
    for reason in absent:
        print(f"not measured: {reason}")
    print(f"{chunks} chunks of each, in turn; ms, p50/p99/max")
    print(
        f"{'bundle':<16}{'runtime':>8}{'threads':>8}{'start':>8}{'memory':>9}"
        + "".join(f"{name:>18}" for name in figures[0].stages_ms)
        + f"{'chunks/s':>10}{'GFLOP':>8}{'of floor':>10}"
    )
    for row in figures:
        print(_row(row))
    content = {
        **heading(["carp", *sys.argv[1:]], version()),
        "load": os.getloadavg()[0],
        "chunks_each": chunks,
        "not_measured": absent,
        "policies": [_entry(row) for row in figures],
    }
    write_report(report, content)
    print(f"report: {report}")
    return 0


def _ways() -> tuple[list[tuple[RuntimeName, int]], list[str]]:
    """Return runtimes with numbers of threads, and which runtimes are not here and why."""
    cores = len(os.sched_getaffinity(0))
    ways: list[tuple[RuntimeName, int]] = []
    absent: list[str] = []
    for name in RUNTIMES:
        try:
            choose_runtime(name)
        except (DeviceError, ValueError) as error:
            absent.append(f"{name}: {error}")
        else:
            for threads in sorted({1, cores}) if name == "cpu" else (1,):
                ways.append((name, threads))
    return ways, absent


def _row(row: CaseFigures) -> str:
    stages = "".join(
        f"{'/'.join(f'{x:.1f}' for x in times.values()):>18}" for times in row.stages_ms.values()
    )
    share = row.share_of_floor
    floor = f"{'-':>8}{'-':>10}" if share is None else f"{row.gflop:>8.3f}{share:>10.0%}"
    return (
        f"{row.case.bundle.name:<16}{row.case.runtime:>8}{row.case.threads:>8}{row.start_s:>6.1f} s"
        f"{row.memory_mb:>6.0f} MB{stages}{row.chunks_a_s:>10.0f}{floor}"
    )


def _entry(row: CaseFigures) -> dict[str, object]:
    content = asdict(row)
    case = content.pop("case")
    share = row.share_of_floor
    return {
        **case,
        "bundle": row.case.bundle.name,
        **content,
        "share_of_floor": None if share is None else round(share, 3),
    }
