"""Inverse velocity kinematics: tool velocity to joint velocities, slowing before singularities.

Damped least squares on the singular values of the Jacobian (Nakamura and Hanafusa, 1986): exact
away from singularities. Limits are applied elsewhere: `limits.py` scales the result, which keeps
the tool on its path, where a bounded QP would leave it. The self-motion of an arm with seven joints
is chosen in `posture.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.rig import LimitsConfig
from carp_ros.types import Array

_SMALLEST_SINGULAR_VALUE = 0.03  # below it, damping grows from zero to its full value
_FULL_DAMPING = 0.02
_LOOK_AHEAD_S = 0.02


@dataclass(frozen=True, slots=True)
class JointVelocities:
    """Result of an IK step.

    Attributes:
        velocities: The smallest that move the tool as wanted, of shape (J,) in [rad/s].
        condition: Condition number of the Jacobian.
        self_motion: Direction in which a redundant arm moves without moving its tool, a unit vector
            of shape (J,); None for an arm of six joints.
    """

    velocities: Array
    condition: float
    self_motion: Array | None = None


class DifferentialIk:
    """Inverse velocity kinematics of one arm."""

    def __init__(self, kinematics: Kinematics, config: LimitsConfig) -> None:
        self._kinematics = kinematics
        self._slow = config.condition_slow
        self._stop = config.condition_stop

    def solve(self, twist: Array, joints: Array, jacobian: Array) -> JointVelocities:
        """Return joint velocities that move the tool with `twist`.

        Between `condition_slow` and `condition_stop`, motion towards the singularity is scaled down
        to zero; motion away from it keeps its speed.

        Args:
            twist: Of shape (6,) in [m/s] and [rad/s], base axes.
            joints: Of shape (J,) in [rad].
            jacobian: At `joints`, of shape (6, J).
        """
        redundant = jacobian.shape[1] > 6
        left, singular, rows = np.linalg.svd(jacobian, full_matrices=redundant)
        right = rows[:6]
        smallest = float(singular[-1])
        condition = float(singular[0]) / max(smallest, 1e-9)
        damping = 0.0
        if smallest < _SMALLEST_SINGULAR_VALUE:
            damping = (1.0 - (smallest / _SMALLEST_SINGULAR_VALUE) ** 2) * _FULL_DAMPING**2
        gains = singular / (singular * singular + damping)
        velocities = right.T @ (gains * (left.T @ twist))
        if condition > self._slow and self._approaches(velocities, joints, condition):
            fraction = (self._stop - condition) / (self._stop - self._slow)
            velocities = velocities * max(0.0, fraction)
        return JointVelocities(velocities, condition, rows[6] if redundant else None)

    def _approaches(self, velocities: Array, joints: Array, condition: float) -> bool:
        ahead = joints + velocities * _LOOK_AHEAD_S
        return float(np.linalg.cond(self._kinematics.jacobian(ahead))) > condition
