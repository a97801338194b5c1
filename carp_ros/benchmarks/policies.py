"""Time of bundles and peers for a chunk, and for starting; for `carp bench --what policy`."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from carp_ros.benchmarks.bench_process import BundleCase
from carp_ros.benchmarks.peers import peer_cases, preset_cases
from carp_ros.benchmarks.policy_bench import Case, CaseFigures, measure_cases
from carp_ros.console.progress import Progress
from carp_ros.errors import DeviceError
from carp_ros.runtimes import RUNTIMES, RuntimeName, choose_runtime
from carp_ros.share import share_folder
from carp_ros.system.bringup import bundle_path


def measure_policies(
    bundles: tuple[str, ...],
    chunks: int,
    peers: Path | None = None,
    published_carp: Path | None = None,
) -> tuple[list[CaseFigures], list[str]]:
    """Measure bundles with every available runtime.

    Args:
        bundles: Folders, or names in models/; empty for all that come with the package.
        chunks: Number to measure of each.
        peers: Environment of the peers to measure; None for no peers.
        published_carp: Folder of the published CARP, for the peers.

    Returns:
        The figures, and why some runtimes are not among them.

    Raises:
        ValueError: If a bundle is invalid, or the peers' environment is missing.
    """
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
        return measure_cases(cases, chunks, progress=progress.show), absent


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
