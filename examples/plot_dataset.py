"""Converts recorded episodes and plots the tool's paths.

carp record --episodes 2 --out recordings        # or your own
python examples/plot_dataset.py recordings --out dataset --picture paths.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import carp_ros
from carp_ros.cli.convert import ConvertCommand
from carp_ros.cli.convert import main as convert


def main() -> int:
    """Convert and plot; return the conversion's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+", help="episodes, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--picture", type=Path, default=Path("paths.png"))
    arguments = parser.parse_args()
    code = convert(ConvertCommand(tuple(arguments.recordings), arguments.out, unlabelled=True))
    dataset = carp_ros.DatasetReader(arguments.out)
    axes = plt.figure().add_subplot(projection="3d")
    for index, row in enumerate(dataset.episodes):
        x, y, z = dataset.episode(index)["observation.state"][:, :3].T
        axes.plot(x, y, z, label=f"{index}: {row['task']}")
    axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]")
    axes.legend()
    plt.savefig(arguments.picture, dpi=120)
    print(f"{len(dataset.episodes)} episodes: {arguments.picture}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
