"""The gripper in joint states: one joint, which a robot description mirrors to both fingers."""

from __future__ import annotations

from carp_ros.rig_devices import GripperConfig

GRIPPER_JOINT = "gripper_left_finger_joint"
"""A finger's distance from the middle in [m], along the tool's y axis."""


def finger_position_m(gripper: GripperConfig, closure: float) -> float:
    """Return the position of the gripper's joint for a closure of 0 open to 1 closed."""
    return gripper.finger_travel_m * (1.0 - closure)
