"""Creates the drivers that a rig file names: the one place that lists arms and grippers.

To add a driver: a section in `rig_devices.py`, a module in `hardware/` and a branch here.
"""

from __future__ import annotations

from carp_ros.control.kinematics import Kinematics
from carp_ros.hardware.arm import Arm
from carp_ros.hardware.gripper import Gripper
from carp_ros.rig import Rig
from carp_ros.rig_devices import (
    Fr3ArmConfig,
    FrankaHandConfig,
    RobotiqConfig,
    Ros2ControlArmConfig,
    UrArmConfig,
)


def make_arm(rig: Rig) -> Arm:
    """Return the rig's arm driver, not yet connected.

    Raises:
        ValueError: If there is no such driver.
    """
    if isinstance(rig.arm, UrArmConfig):
        from carp_ros.hardware.ur import UrArm  # ur-rtde is needed only on a UR cell

        return UrArm(rig.arm, rig.servo.rate_hz)
    if isinstance(rig.arm, Fr3ArmConfig):
        from carp_ros.hardware.franka import FrankaArm

        return FrankaArm(rig.arm, rig.robot, rig.servo.rate_hz)
    if isinstance(rig.arm, Ros2ControlArmConfig):
        from carp_ros.hardware.ros2_control import Ros2ControlArm

        return Ros2ControlArm(rig.arm, rig.robot, rig.servo.rate_hz)
    raise ValueError(f"arm.driver is {rig.arm.driver!r}; expected ur, fr3 or ros2_control")


def make_gripper(rig: Rig) -> Gripper:
    """Return the rig's gripper driver, not yet connected.

    Raises:
        ValueError: If there is no such driver.
    """
    if isinstance(rig.gripper, RobotiqConfig):
        from carp_ros.hardware.robotiq import RobotiqGripper

        return RobotiqGripper(rig.gripper)
    if isinstance(rig.gripper, FrankaHandConfig):
        from carp_ros.hardware.franka_hand import FrankaHand

        return FrankaHand(rig.gripper)
    raise ValueError(f"gripper.driver is {rig.gripper.driver!r}; expected robotiq or franka_hand")


def make_kinematics(rig: Rig) -> Kinematics:
    """Return the kinematics of the rig's arm with its tool."""
    return Kinematics(rig.robot, rig.tool.flange_from_tcp)
