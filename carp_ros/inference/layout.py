"""How a tool pose and a gripper opening stand in a vector, for states and actions alike."""

from __future__ import annotations

import numpy as np

from carp_ros.geometry import quaternion_from_rot6d, rot6d_from_quaternion
from carp_ros.types import Array, Pose

NAMES = ("x", "y", "z", *(f"rot6d_{i}" for i in range(6)), "gripper")
UNITS = ("m", "m", "m", "1", "1", "1", "1", "1", "1", "1")
"""Of each number; `gripper` is 0 open to 1 closed. The frame is the robot's base frame."""
FARTHEST = (*[3.0] * 3, *[1.01] * 7)
"""What no number is beyond: no arm here reaches a third of it, and the rest is within 1."""


def vector_from_tool(tool: Pose, gripper: float) -> Array:
    """Return `[x y z, rot6d, gripper]` of shape (10,), in the order of `NAMES`."""
    return np.concatenate([tool.position, rot6d_from_quaternion(tool.quaternion), [gripper]])


def tool_from_vector(vector: Array) -> tuple[Pose, float]:
    """Return the pose and the opening of a vector of shape (10,); the inverse of the above.

    A network's rot6d is not a rotation's exactly; the nearest Gram-Schmidt frame is taken.
    """
    position = np.asarray(vector[:3], np.float64)
    quaternion = quaternion_from_rot6d(np.asarray(vector[3:9], np.float64))
    return Pose(position, quaternion), float(vector[9])
