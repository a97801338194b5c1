"""`carp export`: exports a training run to a bundle that robots run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tyro

from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.evaluation.report import heading
from carp_ros.inference.bundle import WeightPrecision
from carp_ros.share import version
from carp_ros.system.bringup import bundle_path


@dataclass(frozen=True)
class ExportCommand:
    """Export a trained policy to a bundle: ONNX graphs, statistics and a golden case.

    The graphs are then compared with the trained network on every installed execution provider of
    ONNX Runtime.

    Attributes:
        run: Folder of `carp train policy`, which may still be training; or a bundle, or its name in
            models/, to export it again in this version's format.
        out: The bundle's folder; an existing one is replaced.
        precision: Precision of the weights. int8 is nearly twice as fast on CPUs for wide networks,
            such as the preset paper-image, and costs some accuracy. GPUs choose their own.
    """

    run: tyro.conf.Positional[Path]
    out: Path
    precision: WeightPrecision = "float32"


def main(command: ExportCommand) -> int:
    """Export and verify; return 0 if every provider agrees, and 130 after Ctrl-C."""
    if find_spec("torch") is None:
        raise ValueError("export needs torch; pip install 'carp_ros[train]'")
    from carp_ros.export.training_run import export_run
    from carp_ros.export.verify import verify_bundle

    try:
        export_run(bundle_path(str(command.run)), command.out, provenance(), command.precision)
    except KeyboardInterrupt:
        print(f"\ninterrupted: {command.out} is unchanged; run the same command to start again")
        return EXIT_INTERRUPTED
    agreed = True
    for row in verify_bundle(command.out):
        print(row)
        agreed &= row.agrees
    print(f"bundle: {command.out}")
    return 0 if agreed else 1


def provenance() -> dict[str, Any]:
    """Return the provenance that a manifest records."""
    command = ["carp", *sys.argv[1:]]
    return {**heading(command, version()), "command": " ".join(command)}
