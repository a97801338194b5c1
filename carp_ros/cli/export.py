"""`carp export`: a training to a bundle that robots run."""

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
    """Write the bundle of a trained policy: ONNX graphs, statistics and a golden case.

    The graphs are then compared with the trained network on every execution provider of ONNX
    Runtime that is installed here.

    Attributes:
        run: Folder of `carp train policy`, which may still be training; or a bundle or its name
            in models/, to have it anew as this version writes it.
        out: Folder of the bundle; what is there is replaced.
        precision: Of the weights: int8 is nearly twice as fast on CPUs where networks are wide, as
            the preset paper-image, and costs some accuracy. GPUs choose theirs themselves.
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
        print(f"\ninterrupted: {command.out} is as it was; the same command begins anew")
        return EXIT_INTERRUPTED
    agreed = True
    for row in verify_bundle(command.out):
        print(row)
        agreed &= row.agrees
    print(f"bundle: {command.out}")
    return 0 if agreed else 1


def provenance() -> dict[str, Any]:
    """Return what a manifest says of how it was made."""
    command = ["carp", *sys.argv[1:]]
    return {**heading(command, version()), "command": " ".join(command)}
