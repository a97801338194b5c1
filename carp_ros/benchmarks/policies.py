"""`carp bench --what policy`: time of bundles and peers for a chunk, and for starting."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from carp_ros.benchmarks.bench_process import BundleCase, PeerCase
from carp_ros.benchmarks.peers import peer_cases, preset_cases
from carp_ros.benchmarks.policy_bench import Case, CaseFigures, measure_cases, stage_names
from carp_ros.console.progress import Progress
from carp_ros.errors import DeviceError
from carp_ros.evaluation.report import heading, require_writable, write_report
from carp_ros.runtimes import RUNTIMES, RuntimeName, choose_runtime
from carp_ros.share import share_folder, version
from carp_ros.system.bringup import bundle_path


def measure_policies(
    bundles: tuple[str, ...],
    chunks: int,
    report: Path,
    peers: Path | None = None,
    published_carp: Path | None = None,
) -> int:
    """Measure bundles with every available runtime, print a table, write the report; return 0.

    Args:
        bundles: Folders, or names in models/; empty for all that come with the package.
        chunks: Number to measure of each.
        report: JSON file for the results.
        peers: Environment of the peers to measure; None for no peers.
        published_carp: Folder of the published CARP, for the peers.

    Raises:
        ValueError: If a bundle is invalid, the peers' environment is missing, or the report can't
            be written.
    """
    require_writable(report)
    models = share_folder() / "models"
    names = bundles or tuple(sorted(path.parent.name for path in models.glob("*/policy.yaml")))
    ways, absent = _ways()
    cases: list[Case] = [
        BundleCase(bundle_path(name), runtime, count) for name in names for runtime, count in ways
    ]
    with TemporaryDirectory(prefix="carp_") as folder:
        if peers:
            cases += _compared(peers, published_carp, Path(folder))
        progress = Progress(chunks, "chunks of each")
        figures = measure_cases(cases, chunks, progress=progress.show)
    for reason in absent:
        print(f"not measured: {reason}")
    print(f"{chunks} chunks of each, in turn; ms, p50/p99/max")
    width = max(len(case.name) for case in cases)
    stages = stage_names([row.stages_ms for row in figures])
    print(
        f"{'policy':<{width}}{'runtime':>8}{'threads':>8}{'start':>8}{'memory':>9}{'weights':>9}"
        + "".join(f"{name:>18}" for name in stages)
        + f"{'chunks/s':>10}{'GFLOP':>8}{'of floor':>10}"
    )
    for row in figures:
        print(_row(row, width, stages))
    content = {
        **heading(["carp", *sys.argv[1:]], version()),
        "onnxruntime": metadata.version("onnxruntime"),
        "load": os.getloadavg()[0],
        "chunks_each": chunks,
        "not_measured": absent,
        "policies": [_entry(row) for row in figures],
    }
    write_report(report, content)
    print(f"report: {report}")
    return 0


def _ways() -> tuple[list[tuple[RuntimeName, int]], list[str]]:
    """Return the available runtimes with thread counts, and the reasons why others are not."""
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


def _compared(environment: Path, published_carp: Path | None, folder: Path) -> list[Case]:
    """Return the paper's presets, exported to a folder, and the peers."""
    peer = share_folder() / "bench" / "peers" / "peer.py"
    if not peer.is_file():
        raise ValueError(f"no {peer}: peers are measured from the repository's folder")
    if not (environment / "complete").is_file():
        raise ValueError(
            f"no peers in {environment}; make the environment: bench/peers/environment.sh"
            f" {environment}"
        )
    if published_carp and not (published_carp / "CFAP").is_dir():
        raise ValueError(
            f"no CFAP in {published_carp}; expected the folder `singletask` of the published CARP"
        )
    published = published_carp.resolve() if published_carp else None
    theirs = peer_cases(environment / "bin" / "python", peer, published)
    print("exporting the paper's presets: half a minute", flush=True)
    return [*preset_cases(folder), *theirs]


def _row(row: CaseFigures, width: int, names: Sequence[str]) -> str:
    stages = "".join(f"{_times(row.stages_ms.get(name)):>18}" for name in names)
    started, share = row.started, row.share_of_floor
    memory = "-" if started.memory_mb is None else f"{started.memory_mb:.0f} MB"
    weights = "-" if started.parameters is None else f"{1e-6 * started.parameters:.1f} M"
    floor = f"{'-':>8}{'-':>10}" if share is None else f"{started.gflop:>8.3f}{share:>10.0%}"
    return (
        f"{row.case.name:<{width}}{row.case.runtime:>8}{row.case.threads:>8}"
        f"{started.seconds:>6.1f} s{memory:>9}{weights:>9}{stages}{row.chunks_a_s:>10.3g}{floor}"
    )


def _times(times: dict[str, float] | None) -> str:
    return "/".join(f"{x:.1f}" for x in times.values()) if times else "-"


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
