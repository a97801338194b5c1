"""The motors' set-point, and what moves it: torques, or a client's set-points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import quaternion_from_matrix, rotation_between
from carp_ros.sim.franka.protocol import Generator, MotionCommand
from carp_ros.types import Array

# Links and motors as each joint feels them [kg m2], and what slows them [Nm s/rad].
_INERTIA = (0.6, 0.6, 0.5, 0.5, 0.2, 0.15, 0.1)
_DRAG = 0.2
_BRAKING_RAD_S2 = 10.0
_LEAD_RAD = 0.05  # of the set-point to an arm that is held
_DAMPING = 1e-6


@dataclass(slots=True)
class SetPoint:
    """Where the motors pull the joints to: seven `joints` in [rad] and `velocities` in [rad/s].

    Lists, for seven numbers are through faster than an array of them, a thousand times a second.
    """

    joints: list[float]
    velocities: list[float]

    def push(self, torques: Iterable[float], period_s: float) -> None:
        """Advance as the torques [Nm] move the arm's inertia."""
        pushed = [
            (velocity + torque / inertia * period_s) / (1.0 + _DRAG / inertia * period_s)
            for velocity, torque, inertia in zip(self.velocities, torques, _INERTIA)
        ]
        self.follow(pushed, period_s)

    def follow(self, velocities: list[float], period_s: float) -> None:
        """Advance with these velocities."""
        self.velocities = velocities
        self.joints = [
            joint + velocity * period_s for joint, velocity in zip(self.joints, velocities)
        ]

    def brake(self, period_s: float) -> None:
        """Slow down to a standstill."""
        if any(self.velocities):
            step = _BRAKING_RAD_S2 * period_s
            slower = [
                math.copysign(max(abs(velocity) - step, 0.0), velocity)
                for velocity in self.velocities
            ]
            self.follow(slower, period_s)

    def stay_near(self, measured: Sequence[float]) -> None:
        """Come no further than 0.05 rad from the measured joints, which something may hold."""
        for i, (joint, at) in enumerate(zip(self.joints, measured)):
            if not -_LEAD_RAD <= joint - at <= _LEAD_RAD:
                self.joints[i] = at + math.copysign(_LEAD_RAD, joint - at)
                self.velocities[i] = 0.0


def joint_velocities(
    generator: Generator,
    command: MotionCommand,
    joints: Array,
    hand_from_ee: Array,
    kinematics: Kinematics,
    period_s: float,
) -> Array:
    """Return the velocities of shape (7,) in [rad/s] that a client's set-point asks for.

    Args:
        generator: Kind of the set-point.
        command: The set-point.
        joints: The motors' set-point, of shape (7,) in [rad].
        hand_from_ee: Of shape (4, 4); the end effector moves, the hand's frame is computed.
        kinematics: Of the arm with its hand.
        period_s: Time until the set-point is due.
    """
    if generator is Generator.JOINT_POSITION:
        return (np.array(command.joints) - joints) / period_s
    if generator is Generator.JOINT_VELOCITY:
        return np.array(command.velocities)
    pose, jacobian = kinematics.tcp_pose_and_jacobian(joints)
    if generator is Generator.POSE:
        base_from_ee = np.array(command.pose).reshape(4, 4).T
        base_from_hand: Array = (base_from_ee @ np.linalg.inv(hand_from_ee)).astype(np.float64)
        turned = quaternion_from_matrix(base_from_hand[:3, :3])
        turn = rotation_between(pose.quaternion, turned)
        twist = np.concatenate([base_from_hand[:3, 3] - pose.position, turn]) / period_s
    else:
        twist = np.array(command.twist)
    square = jacobian @ jacobian.T + _DAMPING * np.eye(6)
    return jacobian.T @ np.linalg.solve(square, twist)
