"""The rig that benchmarks run on: a simulated one, with cameras as large as real ones."""

from __future__ import annotations

from pathlib import Path

import yaml

from carp_ros.files.plain_yaml import load_mapping
from carp_ros.system.bringup import simulated_rig

WIDTH_PX, HEIGHT_PX, RATE_HZ = 640, 480, 30.0
"""Of every camera."""


def full_size_rig(path: Path, folder: Path) -> Path:
    """Return a copy of a rig's file with cameras of full size and rate.

    Args:
        path: Of the rig's file.
        folder: For the copy.

    Raises:
        ValueError: If it is no rig, or a real one.
    """
    simulated_rig(path)
    content = load_mapping(path)
    for camera in content.get("cameras", {}).values():
        camera |= {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, "rate_hz": RATE_HZ}
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return copy
