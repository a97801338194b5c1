"""A simulated rig for benchmarks, with cameras of realistic size and rate."""

from __future__ import annotations

from pathlib import Path

from carp_ros.files.plain_yaml import load_mapping, yaml_from_mapping
from carp_ros.system.bringup import simulated_rig

WIDTH_PX, HEIGHT_PX, RATE_HZ = 640, 480, 30.0
"""Size and rate of every camera."""


def full_size_rig(path: Path, folder: Path) -> Path:
    """Write a copy of a rig's file with cameras of full size and rate; return its path.

    Args:
        path: Of the rig's file.
        folder: For the copy.

    Raises:
        ValueError: If it is not a rig file, or not of a simulated rig.
    """
    simulated_rig(path)
    content = load_mapping(path)
    for camera in content.get("cameras", {}).values():
        camera |= {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, "rate_hz": RATE_HZ}
    copy = folder / path.name
    copy.write_text(yaml_from_mapping(content), encoding="utf-8")
    return copy
