"""ROS parameters shared by the nodes. The workstation itself is described in the rig file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor

from carp_ros.rig import Rig, load_rig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.strict import Rule


def fixed_parameter(
    node: GuardedNode, name: str, default: Any, description: str, rule: Rule | None = None
) -> Any:
    """Declare a parameter that is read once, at start, and return its value.

    Raises:
        ValueError: If it was given an invalid value.
    """
    return node.rules.declare(name, default, description, rule, read_only=True)


def rig_parameter(node: GuardedNode) -> Rig:
    """Declare the parameters `rig` and `rig_sha256` and return the rig.

    Raises:
        ValueError: If `rig` is not given, the file is no valid rig, or it is not the one that the
            rest of the system was started with.
    """
    value = fixed_parameter(node, "rig", "", "The rig's YAML file.")
    sha256 = fixed_parameter(
        node,
        "rig_sha256",
        "",
        "SHA-256 that the rig file's content must have, in hex; empty: any.",
    )
    if not value:
        raise ValueError("parameter rig is empty; expected the path of a config/<rig>.yaml")
    return load_rig(Path(value), sha256)


def show_limits(node: GuardedNode, rig: Rig) -> None:
    """Declare the limits in force as read-only parameters `limits.<name>`, for people to read.

    Values given for them at start are ignored: only the rig file sets them.
    """
    for limit in fields(rig.limits):
        value = getattr(rig.limits, limit.name)
        descriptor = ParameterDescriptor(
            description="From the rig file; change it there and restart the system.",
            read_only=True,
        )
        shown = list(value) if isinstance(value, tuple) else value
        node.declare_parameter(f"limits.{limit.name}", shown, descriptor, ignore_override=True)


def cameras_parameter(
    node: GuardedNode, known: tuple[str, ...], description: str
) -> tuple[str, ...]:
    """Declare the parameter `cameras` and return the names it selects.

    Args:
        node: The node that owns the parameter.
        known: The cameras that may be named; `all` selects all of them.
        description: Description of the parameter.

    Raises:
        ValueError: If a name is not in `known`.
    """
    given = fixed_parameter(node, "cameras", "all", description)
    names = {"all": known, "none": ()}.get(given, tuple(given.split()))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"parameter cameras names {', '.join(unknown)}; expected some of"
            f" {', '.join(known) or 'no cameras: the rig has none of that kind'}"
        )
    return names
