"""Creates the drivers that a rig file names: the one place that lists arms and grippers.

To add a driver: a section in `rig_devices.py`, a module in `hardware/` and a branch here.
"""

from __future__ import annotations

from carp_ros.control.kinematics import Kinematics
from carp_ros.hardware.arm import Arm
from carp_ros.hardware.gripper import Gripper
from carp_ros.rig import Rig


def make_arm(rig: Rig) -> Arm:
    """Return the rig's arm driver, not yet connected.

    Raises:
        ValueError: If there is no such driver.
    """
    if rig.arm.driver == "ur":
        from carp_ros.hardware.ur import UrArm  # ur-rtde is needed only on a UR cell

        return UrArm(rig.arm, rig.servo.rate_hz)
    raise ValueError(f"arm.driver is {rig.arm.driver!r}; expected ur")


def make_gripper(rig: Rig) -> Gripper:
    """Return the rig's gripper driver, not yet connected.

    Raises:
        ValueError: If there is no such driver.
    """
    if rig.gripper.driver == "robotiq":
        from carp_ros.hardware.robotiq import RobotiqGripper

        return RobotiqGripper(rig.gripper)
    raise ValueError(f"gripper.driver is {rig.gripper.driver!r}; expected robotiq")


def make_kinematics(rig: Rig) -> Kinematics:
    """Return the kinematics of the rig's arm with its tool."""
    return Kinematics(rig.robot, rig.tool.flange_from_tcp)
