"""Forward kinematics, Jacobian and inverse kinematics of the arm with its tool.

Built on Pinocchio from the data of a `Robot`, so that no URDF file is needed.
"""

from __future__ import annotations

import math

import numpy as np
import pinocchio as pin

from carp_ros.errors import CarpError
from carp_ros.geometry import rotation_between
from carp_ros.robots import Origin, Robot
from carp_ros.types import Array, Pose


class IkError(CarpError):
    """No joint positions within the limits were found for a pose.

    Carries the `pose`, the nearest `joints` found, and their remaining `error_m` and `error_rad`.
    """

    def __init__(self, robot: Robot, pose: Pose, joints: Array, error: Array) -> None:
        self.pose = pose
        self.joints = joints
        self.error_m = float(np.linalg.norm(error[:3]))
        self.error_rad = float(np.linalg.norm(error[3:]))
        super().__init__(
            f"no joint positions within the limits of {robot.name} put the tool at"
            f" {np.round(pose.position, 3).tolist()} m; the nearest found,"
            f" {robot.joints_text(joints)}, leave {self.error_m * 1e3:.1f} mm and"
            f" {math.degrees(self.error_rad):.1f} deg: choose a pose within reach"
        )


_INSIDE_RAD = 0.05  # of its limits, where self-motion brings a joint


class Kinematics:
    """Forward and inverse kinematics of one arm and its tool.

    Args:
        robot: The arm.
        flange_from_tcp: Pose of the tool centre point in the flange frame.
    """

    def __init__(self, robot: Robot, flange_from_tcp: Pose) -> None:
        model = pin.Model()
        parent = 0
        for name, origin in zip(robot.joint_names, robot.origins):
            parent = model.addJoint(parent, pin.JointModelRZ(), _placement(origin), name)
        tcp = pin.SE3(pin.Quaternion(flange_from_tcp.quaternion).matrix(), flange_from_tcp.position)
        last_from_tcp = _placement(robot.flange) * tcp
        self._frame = model.addFrame(
            pin.Frame("tcp", parent, 0, last_from_tcp, pin.FrameType.OP_FRAME)
        )
        self._model = model
        self._data = model.createData()
        self.robot = robot
        self.lower_rad = np.array(robot.lower_rad)
        self.upper_rad = np.array(robot.upper_rad)
        self._inner_lower = self.lower_rad + _INSIDE_RAD
        self._inner_upper = self.upper_rad - _INSIDE_RAD

    def tcp_pose(self, joints: Array) -> Pose:
        """Return `base_from_tcp` for joint positions of shape (J,) in [rad]."""
        pin.forwardKinematics(self._model, self._data, joints)
        return self._tcp()

    def tcp_pose_and_jacobian(self, joints: Array) -> tuple[Pose, Array]:
        """Return `base_from_tcp` and the geometric Jacobian there.

        Args:
            joints: Of shape (J,) in [rad].

        Returns:
            The pose, and the TCP's Jacobian of shape (6, J) in base axes: three rows in [m/rad],
            then three in [rad/rad].
        """
        jacobian = self.jacobian(joints)
        return self._tcp(), jacobian

    def jacobian(self, joints: Array) -> Array:
        """Return only the Jacobian of `tcp_pose_and_jacobian`."""
        pin.computeJointJacobians(self._model, self._data, joints)  # forward kinematics included
        return pin.getFrameJacobian(
            self._model, self._data, self._frame, pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        )

    def solve(self, pose: Pose, seed: Array, tolerance: float = 1e-6) -> Array:
        """Return joint positions that put the TCP at `pose`, on the branch of `seed`.

        Levenberg-Marquardt on the pose error; for a distant pose, use a seed on the wanted branch.
        The self-motion of a redundant arm brings joints back that steps carry beyond their limits.

        Args:
            pose: Wanted `base_from_tcp`.
            seed: Joint positions to start from, of shape (J,) in [rad].
            tolerance: Largest remaining error, in [m] and in [rad].

        Raises:
            IkError: If 200 steps do not reach it, or only outside the joint limits.
        """
        joints = np.array(seed, dtype=float)
        error = np.zeros(6)
        for _ in range(200):
            here, jacobian = self.tcp_pose_and_jacobian(joints)
            error[:3] = pose.position - here.position
            error[3:] = rotation_between(here.quaternion, pose.quaternion)
            if np.abs(error).max() < tolerance:
                if not ((joints < self.lower_rad).any() or (joints > self.upper_rad).any()):
                    return joints
                if len(joints) == 6:
                    break
            damping = 1e-9 + 1e-3 * float(error @ error)
            square = jacobian @ jacobian.T + damping * np.eye(6)
            step = jacobian.T @ np.linalg.solve(square, error)
            if len(joints) > 6:
                back = np.clip(joints, self._inner_lower, self._inner_upper) - joints
                step += back - jacobian.T @ np.linalg.solve(square, jacobian @ back)
            joints += step * min(1.0, 0.3 / float(np.abs(step).max()))
        raise IkError(self.robot, pose, joints, error)

    def _tcp(self) -> Pose:
        placement = pin.updateFramePlacement(self._model, self._data, self._frame)
        numbers = pin.SE3ToXYZQUAT(placement)
        return Pose(numbers[:3], numbers[3:])


def _placement(origin: Origin) -> pin.SE3:
    return pin.SE3(pin.rpy.rpyToMatrix(*origin.rpy), np.array(origin.xyz))
