"""ROS parameters. What describes the workstation is in the rig's file, not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from carp_ros.rig import Rig, load_rig


def fixed_parameter(node: Node, name: str, default: Any, description: str) -> Any:
    """Declare a parameter that is read once, at start, and return its value."""
    descriptor = ParameterDescriptor(description=description, read_only=True)
    return node.declare_parameter(name, default, descriptor).value


def rig_parameter(node: Node) -> tuple[Path, Rig]:
    """Declare the parameter `rig` and return its path and the rig.

    Raises:
        ValueError: If the parameter is not given, or the file is not a rig.
    """
    value = fixed_parameter(node, "rig", "", "The rig's YAML file.")
    if not value:
        raise ValueError("parameter rig is empty; expected the path of a config/<rig>.yaml")
    path = Path(value)
    return path, load_rig(path)
