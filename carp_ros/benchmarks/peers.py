"""What our policies are measured against, in one run with them.

Our presets with weights by chance, and policies of the same observation by others: lerobot's ACT
and Diffusion Policy, with its usual U-Net and with one of our size, and the published CARP.
"""

from __future__ import annotations

from pathlib import Path

from carp_ros.benchmarks.bench_process import BundleCase, PeerCase
from carp_ros.errors import DeviceError

CAMERAS = ("wrist_cam", "third_cam")
IMAGE_PX = (76, 76)
"""Width and height of what the networks look at, as the paper has it."""

_UNETS = {(64, 128, 256): 10, (512, 1024, 2048): 2}
"""Widths of Diffusion Policy's U-Net, and chunks to measure of it with 100 steps of denoising."""
_FASTER = 5
"""So many times the chunks with 10 steps."""


def preset_cases(folder: Path) -> list[BundleCase]:
    """Return the paper's presets, for the CPU with one thread.

    Args:
        folder: To write bundles with weights by chance into.

    Raises:
        DeviceError: If what writes bundles is not installed.
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
    """Return the policies of others.

    Args:
        python: Of the environment that has them, see `bench/peers/environment.sh`.
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
