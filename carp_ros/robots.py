"""The arms as data: joints, limits, frames. The numbers are the manufacturers'.

A `Robot` is a serial chain of revolute joints, each rotating about the z axis of its own frame. The
kinematics (`control/kinematics.py`) and the simulated cell use the same description.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from carp_ros.types import Array


@dataclass(frozen=True)
class Origin:
    """Pose of a joint's frame in the previous one: translation [m] and roll-pitch-yaw [rad]."""

    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]


@dataclass(frozen=True)
class Robot:
    """One arm.

    Attributes:
        name: Name used for `robot` in a rig file.
        base_frame: The frame in which poses are given (REP-103: x forward, z up).
        joint_names: In the order of every joint array.
        origins: `parent_from_joint` at angle zero, one per joint, the first from `base_frame`.
        flange_frame: Name of the flange's frame in the vendor's description of the robot.
        flange: `last_joint_from_flange`, the frame that tools are mounted in (z out of the flange).
        lower_rad, upper_rad: Joint position limits.
        max_speed_rad_s: Joint speed limits.
        max_acceleration_rad_s2: Joint accelerations that the controller follows without a fault.
        screen_from_base_yaw_rad: Turn about z of `base_frame` in the frame of the base that the
            robot's own screen shows.
    """

    name: str
    base_frame: str
    flange_frame: str
    joint_names: tuple[str, ...]
    origins: tuple[Origin, ...]
    flange: Origin
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    max_speed_rad_s: tuple[float, ...]
    max_acceleration_rad_s2: tuple[float, ...]
    screen_from_base_yaw_rad: float = 0.0

    def joints_text(self, joints: Array) -> str:
        """Return joint positions as text: names and degrees."""
        degrees = (f"{n} {math.degrees(q):.1f}" for n, q in zip(self.joint_names, joints))
        return ", ".join(degrees)


_HALF_PI = math.pi / 2

# Universal Robots, "DH parameters for calculations of kinematics and dynamics": UR5e.
# `base_link` is UR's `base` rotated by pi about z, so that x points forward (REP-103).
UR5E = Robot(
    name="ur5e",
    base_frame="base_link",
    flange_frame="tool0",
    joint_names=(
        "shoulder_pan_joint",
        "shoulder_lift_joint",
        "elbow_joint",
        "wrist_1_joint",
        "wrist_2_joint",
        "wrist_3_joint",
    ),
    origins=(
        Origin((0.0, 0.0, 0.0), (0.0, 0.0, math.pi)),
        Origin((0.0, 0.0, 0.1625), (_HALF_PI, 0.0, 0.0)),
        Origin((-0.425, 0.0, 0.0), (0.0, 0.0, 0.0)),
        Origin((-0.3922, 0.0, 0.0), (0.0, 0.0, 0.0)),
        Origin((0.0, 0.0, 0.1333), (_HALF_PI, 0.0, 0.0)),
        Origin((0.0, 0.0, 0.0997), (-_HALF_PI, 0.0, 0.0)),
    ),
    flange=Origin((0.0, 0.0, 0.0996), (0.0, 0.0, 0.0)),
    lower_rad=(-2 * math.pi, -2 * math.pi, -math.pi, -2 * math.pi, -2 * math.pi, -2 * math.pi),
    upper_rad=(2 * math.pi, 2 * math.pi, math.pi, 2 * math.pi, 2 * math.pi, 2 * math.pi),
    max_speed_rad_s=(math.pi,) * 6,
    max_acceleration_rad_s2=(13.9,) * 6,  # 800 deg/s2, the controller's default joint limit
    screen_from_base_yaw_rad=math.pi,
)

# Franka Robotics, FCI documentation: FR3 kinematics (Craig DH) and limits.
FR3 = Robot(
    name="fr3",
    base_frame="fr3_link0",
    flange_frame="fr3_link8",
    joint_names=tuple(f"fr3_joint{i}" for i in range(1, 8)),
    origins=(
        Origin((0.0, 0.0, 0.333), (0.0, 0.0, 0.0)),
        Origin((0.0, 0.0, 0.0), (-_HALF_PI, 0.0, 0.0)),
        Origin((0.0, -0.316, 0.0), (_HALF_PI, 0.0, 0.0)),
        Origin((0.0825, 0.0, 0.0), (_HALF_PI, 0.0, 0.0)),
        Origin((-0.0825, 0.384, 0.0), (-_HALF_PI, 0.0, 0.0)),
        Origin((0.0, 0.0, 0.0), (_HALF_PI, 0.0, 0.0)),
        Origin((0.088, 0.0, 0.0), (_HALF_PI, 0.0, 0.0)),
    ),
    flange=Origin((0.0, 0.0, 0.107), (0.0, 0.0, 0.0)),
    lower_rad=(-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
    upper_rad=(2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
    max_speed_rad_s=(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
    max_acceleration_rad_s2=(10.0,) * 7,
)

ROBOTS = {robot.name: robot for robot in (UR5E, FR3)}
