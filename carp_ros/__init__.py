"""CARP on ROS 2: record demonstrations, train visuomotor policies, run them on an arm, safely.

The names below are the package's library interface. Each is imported on first use, so that
`import carp_ros` costs nothing:

    policy = carp_ros.load_policy(carp_ros.bundle_path("carp_cup_sim"), "cup", time.monotonic_ns)
    prediction = policy.infer([observation])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carp_ros.control.kinematics import Kinematics
    from carp_ros.control.servo import Servo
    from carp_ros.inference.bundle import load_bundle
    from carp_ros.policies.load import load_policy
    from carp_ros.policies.policy import Policy, Prediction
    from carp_ros.recording.dataset_reader import DatasetReader
    from carp_ros.rig import Rig, load_rig
    from carp_ros.system.bringup import bundle_path, rig_path
    from carp_ros.types import Chunk, Observation, Pose, Twist

_HOMES = {
    "Chunk": "types",
    "DatasetReader": "recording.dataset_reader",
    "Kinematics": "control.kinematics",
    "Observation": "types",
    "Policy": "policies.policy",
    "Pose": "types",
    "Prediction": "policies.policy",
    "Rig": "rig",
    "Servo": "control.servo",
    "Twist": "types",
    "bundle_path": "system.bringup",
    "load_bundle": "inference.bundle",
    "load_policy": "policies.load",
    "load_rig": "rig",
    "rig_path": "system.bringup",
}

__all__ = [
    "Chunk",
    "DatasetReader",
    "Kinematics",
    "Observation",
    "Policy",
    "Pose",
    "Prediction",
    "Rig",
    "Servo",
    "Twist",
    "bundle_path",
    "load_bundle",
    "load_policy",
    "load_rig",
    "rig_path",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"carp_ros has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"carp_ros.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted({*globals(), *__all__})
