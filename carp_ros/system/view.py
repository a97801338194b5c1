"""What a viewer needs of a rig: its description."""

from __future__ import annotations

from carp_ros.description.urdf import robot_description
from carp_ros.rig import load_rig
from carp_ros.system.bringup import rig_path


def description_of(rig: str) -> str:
    """Return the URDF of a rig.

    Args:
        rig: Path of a rig file, or the name of one in `config/`.

    Raises:
        ValueError: If the rig file or a file of its calibration is wrong.
    """
    return robot_description(load_rig(rig_path(rig)))
