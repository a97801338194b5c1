"""`carp compile`: builds engines for a kind of GPU from a bundle's graphs."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from carp_ros.evaluation.report import heading, require_writable, write_report
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.engine_file import engines_folder, write_engine
from carp_ros.inference.tensorrt_build import Engine, EngineBuilder, EnginePrecision
from carp_ros.refusal import refusing
from carp_ros.share import version
from carp_ros.strict import Matching, Sized
from carp_ros.system.bringup import bundle_path

_PRODUCTS = ("convolution", "deconvolution", "matrix_multiply")

_CAPABILITY = Matching(r"([5-9]|1[0-9])\.[0-9]", "compute capabilities, as 8.6")


@dataclass(frozen=True)
class CompileCommand:
    """Compile a bundle's graphs with TensorRT-RTX, for GPUs that need not be present.

    An engine runs only on its own kind of GPU, and only with the exact version that built it.

    Attributes:
        bundle: Folder, or its name in models/.
        capabilities: The GPUs' compute capabilities: 7.5 is an RTX 2060 to 2080, 8.6 a 3060 to
            3090, 8.9 a 4060 to 4090.
        precision: Precision of matrix products with weights; all else is in single precision.
        out: Folder for the engines; by default the one where a starting policy looks for them.
        report: JSON file to write a summary of the build to.
    """

    bundle: tyro.conf.Positional[str]
    capabilities: Annotated[tuple[str, ...], Sized(1, 16), _CAPABILITY] = ("7.5", "8.6", "8.9")
    precision: EnginePrecision = "half"
    out: Path | None = None
    report: Path | None = None


def main(command: CompileCommand) -> int:
    """Build the engines and print what they are; return 0."""
    require_writable(command.report)
    bundle = load_bundle(bundle_path(command.bundle))
    builders = [EngineBuilder(name, command.precision) for name in command.capabilities]
    folder = command.out or engines_folder()
    print(f"{bundle.name} by {builders[0].library}, products in half/single precision")
    print(f"{'GPU':<6}{'graph':<20}{'built in':>10}{'size':>10}{'products':>12}")
    engines: list[Engine] = []
    for builder in builders:
        for name in bundle.manifest.graphs:
            with refusing(ValueError, f"{bundle.name}: {name}"):
                engines.append(builder.build(bundle.graph(name)))
            with refusing(ValueError, str(folder)):
                write_engine(folder, engines[-1].key, engines[-1].content)
            print(_row(engines[-1]), flush=True)
    print(f"engines: {folder}")
    if command.report:
        content = {
            **heading(["carp", *sys.argv[1:]], version()),
            "load": os.getloadavg()[0],
            "bundle": bundle.name,
            "bundle_sha256": bundle.sha256,
            "engines": [_entry(engine) for engine in engines],
        }
        write_report(command.report, content)
        print(f"report: {command.report}")
    return 0


def _row(engine: Engine) -> str:
    key = engine.key
    half, single = (
        sum(engine.layers.get(kind, {}).get(dtype, 0) for kind in _PRODUCTS)
        for dtype in ("half", "float")
    )
    return (
        f"{key.capability:<6}{key.graph:<20}{engine.build_s:>8.2f} s"
        f"{1e-6 * len(engine.content):>7.2f} MB{f'{half}/{single}':>12}"
    )


def _entry(engine: Engine) -> dict[str, object]:
    return {
        **asdict(engine.key),
        "bytes": len(engine.content),
        "build_s": round(engine.build_s, 3),
        "layers": engine.layers,
    }
