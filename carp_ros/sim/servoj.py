"""Model of a UR's servoJ: smoothed, delayed tracking within the controller's limits."""

from __future__ import annotations

import numpy as np

from carp_ros.robots import Robot
from carp_ros.types import Array

# A gain below this adds to the lag of the look-ahead.
_FULL_GAIN = 300.0


class ServoJ:
    """A first-order follower with the time constant `lookahead_s`.

    In steady motion the set-point lags the target by the look-ahead, as on a UR; a gain below 300
    increases the lag. Speed and acceleration never exceed the robot's limits.

    Args:
        robot: For its joint limits.
        joints: The arm's positions, of shape (J,) in [rad].
        period_s: Time between two calls of `step`.
    """

    def __init__(self, robot: Robot, joints: Array, period_s: float) -> None:
        self._period_s = period_s
        self._max_speed = np.array(robot.max_speed_rad_s)
        self._max_acceleration = np.array(robot.max_acceleration_rad_s2)
        self.hold(joints)

    def hold(self, joints: Array) -> None:
        """Set the set-point to `joints`, at rest."""
        self._joints = np.array(joints, dtype=float)
        self._velocity = np.zeros_like(self._joints)

    def step(
        self, target: Array, gain: float, lookahead_s: float, speed_fraction: float = 1.0
    ) -> Array:
        """Return the set-point of the next period, of shape (J,) in [rad].

        Args:
            target: Joint positions to track, of shape (J,) in [rad].
            gain: servoJ's, 100 to 2000.
            lookahead_s: servoJ's, 0.03 to 0.2.
            speed_fraction: The pendant's speed slider, 0 to 1, which scales the speed.
        """
        error = np.asarray(target, dtype=float) - self._joints
        wanted = error / lookahead_s * min(1.0, gain / _FULL_GAIN)
        # Limit the speed so that braking before the target is possible; else it overshoots.
        gap = np.abs(error)
        brake = self._max_acceleration * self._period_s
        stoppable = np.sqrt(brake * brake / 4 + 2 * self._max_acceleration * gap) - brake / 2
        speed = np.minimum(stoppable, self._max_speed)
        wanted = np.clip(wanted, -speed, speed) * speed_fraction
        self._velocity = np.clip(wanted, self._velocity - brake, self._velocity + brake)
        self._joints = self._joints + self._velocity * self._period_s
        return self._joints

    @property
    def velocity(self) -> Array:
        """Velocity of the set-point, of shape (J,) in [rad/s]."""
        return self._velocity
