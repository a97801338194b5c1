"""Checks whether a policy may run on a rig, where its numbers must have the same meaning.

This is decided by what the rig is, not by its name: a copy under another name is accepted, a rig of
the same name with another tool is not. A manifest names the training's rig, and that rig's file in
`config/` is compared, so that bundles need not be exported again. Without that file only a rig of
the same name is accepted, as nothing else says that poses, tool and cameras are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from carp_ros.geometry import rotation_between
from carp_ros.rig import Rig, load_rig
from carp_ros.share import share_folder

_TOOL_WITHIN_M, _TOOL_WITHIN_RAD = 0.001, 0.01
_ASPECT_WITHIN = 0.01


def rig_mismatch(
    rig: Rig, trained_on: str, cameras: Iterable[str], reference: str | None = None
) -> str:
    """Return the reason why a policy may not run on a rig; empty if it may.

    Args:
        rig: The rig to run on.
        trained_on: Name of the training's rig.
        cameras: The policy's cameras, all of which `rig` has.
        reference: The camera whose capture times define the observations' times; None for the
            rig's first, which must then be the same as in training.
    """
    path = share_folder() / "config" / f"{trained_on}.yaml"
    if not path.is_file():
        if rig.name == trained_on:
            return ""
        return (
            f"rig is {rig.name!r}; expected {trained_on!r}, as no {path} says which robot, tool and"
            " cameras that has: put that rig's file there"
        )
    trained = rig if rig.file.path == path else load_rig(path)
    found = _differences(rig, trained, frozenset(cameras), first_counts=reference is None)
    return next(found, "")


def _differences(
    rig: Rig, trained: Rig, cameras: frozenset[str], *, first_counts: bool
) -> Iterator[str]:
    if rig.robot.name != trained.robot.name:
        yield f"robot is {rig.robot.name}; expected {trained.robot.name}: poses are in its base"
    if (rig.cell is None) != (trained.cell is None):
        of, wanted = ("hardware", "simulated") if rig.cell is None else ("simulated", "hardware")
        yield f"it is {of}; expected {wanted}: its cameras see another scene"
    tool, expected = rig.tool.flange_from_tcp, trained.tool.flange_from_tcp
    off_m = float(np.linalg.norm(tool.position - expected.position))
    off_rad = float(np.linalg.norm(rotation_between(tool.quaternion, expected.quaternion)))
    if off_m > _TOOL_WITHIN_M or off_rad > _TOOL_WITHIN_RAD:
        yield (
            f"the tool is {off_m * 1e3:.1f} mm and {off_rad:.3f} rad off that of {trained.name};"
            f" expected tool.position_m {list(trained.tool.position_m)} and tool.quaternion"
            f" {list(trained.tool.quaternion)}: poses are of the tool"
        )
    for name in sorted(cameras & trained.cameras.keys()):
        ours, theirs = rig.cameras[name], trained.cameras[name]
        aspect, wanted = ours.width_px / ours.height_px, theirs.width_px / theirs.height_px
        if abs(aspect / wanted - 1.0) > _ASPECT_WITHIN:
            yield (
                f"cameras.{name} has images of {ours.width_px}x{ours.height_px} px; expected the"
                f" shape of {theirs.width_px}x{theirs.height_px}: resizing would distort them"
            )
    first, expected_first = (
        next((name for name in of.cameras if name in cameras), "") for of in (rig, trained)
    )
    if first_counts and first != expected_first:
        yield (
            f"the first camera is {first}; expected {expected_first}, whose captures observations"
            " are made at: change the order of cameras"
        )
