"""Kinematics in UR's convention: x, y, z, rotation vector in UR's base frame."""

from __future__ import annotations

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import (
    compose,
    invert,
    matrix_from_quaternion,
    quaternion_from_rotvec,
    rotvec_from_quaternion,
    slerp,
)
from carp_ros.robots import Robot
from carp_ros.types import Array, Pose

_NO_TOOL = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
# UR's `base` is REP-103's `base_link` turned by pi about z.
_BASE_FROM_LINK = Pose(np.zeros(3), np.array([0.0, 0.0, 1.0, 0.0]))


class UrKinematics:
    """Forward and inverse kinematics with the tool offset set on the controller."""

    def __init__(self, robot: Robot) -> None:
        self._flange = Kinematics(robot, _NO_TOOL)
        self.tcp_offset = np.zeros(6)

    def forward(self, joints: Array, tcp_offset: Array | None = None) -> Array:
        """Return the tool's pose of shape (6,) in [m] and [rad] for joints in [rad]."""
        offset = self.tcp_offset if tcp_offset is None else tcp_offset
        flange = compose(_BASE_FROM_LINK, self._flange.tcp_pose(joints))
        return _numbers(compose(flange, _pose(offset)))

    def torques(self, joints: Array, push: Array) -> Array:
        """Return the joint torques of a push on the flange, of shape (J,) in [Nm].

        Args:
            joints: In [rad].
            push: Force [N] and torque [Nm] in the axes of `base_link`, of shape (6,).
        """
        return self._flange.jacobian(joints).T @ push

    def axes_of(self, feature: Array) -> Array:
        """Return the axes of a pose in UR's base as rows in `base_link`, of shape (3, 3)."""
        axes = compose(invert(_pose(feature)), _BASE_FROM_LINK)
        return matrix_from_quaternion(axes.quaternion)

    def jacobian(self, joints: Array, axes: Array) -> Array:
        """Return how joint speeds move the tool's centre point along, and turn it about, some axes.

        Args:
            joints: In [rad].
            axes: Of `axes_of`.

        Returns:
            Of shape (6, J): velocity [m/s], then angular velocity [rad/s].
        """
        flange = self._flange.jacobian(joints)
        if self.tcp_offset[:3].any():
            turn = matrix_from_quaternion(self._flange.tcp_pose(joints).quaternion)
            x, y, z = turn @ self.tcp_offset[:3]
            arm = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])  # arm @ w is w x offset
            flange[:3] += arm @ flange[3:]
        return (axes @ flange.reshape(2, 3, -1)).reshape(6, -1)

    def inverse(self, pose: Array, near: Array) -> Array:
        """Return joints in [rad] that bring the tool to `pose`, on the same branch as `near`.

        Raises:
            IkError: If there is no solution.
        """
        flange = compose(_pose(pose), invert(_pose(self.tcp_offset)))
        return self._flange.solve(compose(invert(_BASE_FROM_LINK), flange), near)

    def between(self, start: Array, end: Array, fraction: float) -> Array:
        """Interpolate from `start` to `end`: linearly in position, by slerp in rotation."""
        a, b = _pose(start), _pose(end)
        position = a.position + fraction * (b.position - a.position)
        return _numbers(Pose(position, slerp(a.quaternion, b.quaternion, fraction)))


def _pose(numbers: Array) -> Pose:
    return Pose(numbers[:3], quaternion_from_rotvec(numbers[3:]))


def _numbers(pose: Pose) -> Array:
    return np.concatenate([pose.position, rotvec_from_quaternion(pose.quaternion)])
