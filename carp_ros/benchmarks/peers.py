"""Policies to compare ours with, in the same run.

These are our presets with random weights, and other projects' policies with the same observation:
lerobot's ACT and Diffusion Policy, with its usual U-Net and one of our size, and the published
CARP.
"""

from __future__ import annotations

from pathlib import Path

from carp_ros.benchmarks.bench_process import BundleCase, PeerCase
from carp_ros.errors import DeviceError

CAMERAS = ("wrist_cam", "third_cam")
IMAGE_PX = (76, 76)
"""Width and height of the networks' crops, as in the paper."""

_UNETS = {(64, 128, 256): 10, (512, 1024, 2048): 2}
"""Widths of Diffusion Policy's U-Net, and number of chunks to measure at 100 denoising steps."""
_FASTER = 5
"""Factor on that number at 10 denoising steps."""


def preset_cases(folder: Path) -> list[BundleCase]:
    """Return the paper's presets, for the CPU with one thread.

    Args:
        folder: For bundles with random weights.

    Raises:
        DeviceError: If a package for exporting bundles is not installed.
    """
    try:
        from carp_ros.export.untrained import write_untrained  # loads torch
    except ImportError as error:
        raise DeviceError(
            f"{error.name}, with which presets are exported, is not installed: pip install"
            " 'carp_ros[train]'"
        ) from error
    write_untrained(folder / "paper-state", "paper-state", ())
    write_untrained(folder / "paper-image", "paper-image", CAMERAS)
    write_untrained(folder / "paper-image-int8", "paper-image", CAMERAS, precision="int8")
    return [BundleCase(path) for path in sorted(folder.iterdir())]


def peer_cases(python: Path, script: Path, published: Path | None) -> list[PeerCase]:
    """Return the policies of other projects.

    Args:
        python: Of their environment, see `bench/peers/environment.sh`.
        script: `bench/peers/peer.py`.
        published: Folder `singletask` of the published CARP; None leaves it out.
    """
    found: list[PeerCase] = []
    for cameras in (0, len(CAMERAS)):
        width_px, height_px = IMAGE_PX
        seen = ("--cameras", str(cameras), "--width-px", str(width_px), "--height", str(height_px))
        start = (str(python), str(script))
        what = f"{cameras} cameras" if cameras else "state"
        if published:
            sizes = ("--depth", "16", "--width", "160") if cameras else ()
            options = ("published-carp", "--folder", str(published), *sizes)
            found.append(PeerCase(f"published CARP, {what}", (*start, *options, *seen)))
        found.append(PeerCase(f"ACT, {what}", (*start, "act", *seen)))
        for dims, most in _UNETS.items():
            net = (*start, "diffusion", *seen, "--down-dims", *map(str, dims))
            name = f"Diffusion Policy {'-'.join(map(str, dims))}"
            ddim = ("--scheduler", "DDIM", "--steps", "10")
            found.append(PeerCase(f"{name} DDIM 10, {what}", (*net, *ddim), _FASTER * most))
            found.append(PeerCase(f"{name} DDPM 100, {what}", net, most))
    return found
