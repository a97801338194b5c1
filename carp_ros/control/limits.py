"""What a motion may be: speeds, accelerations, the workspace box, joint ranges.

Every limiter takes what is wanted and what was done in the tick before, and returns what may be
done now. Limits compose because each result is a blend between the last velocity and the wanted
one: a blend of two velocities that obey a speed limit obeys it too, and its acceleration is a
fraction of the wanted one. Nothing here is safety-rated.
"""

from __future__ import annotations

import math

import numpy as np

from carp_ros.rig import LimitsConfig
from carp_ros.robots import Robot
from carp_ros.types import Array

# Approaching a wall, a joint stop or a target, the speed is what half of the acceleration limit
# can still brake; the other half stays free to follow a target that moves meanwhile.
_BRAKING_SHARE = 0.5
_NEGLIGIBLE = 1e-24


def braking_speed(distance: float, deceleration: float, dt_s: float) -> float:
    """Return the highest speed that still stops within `distance`, for ticks of `dt_s`.

    Zero or less distance gives zero. Any unit of length: [m] with [m/s^2], [rad] with [rad/s^2].
    """
    if distance <= 0.0:
        return 0.0
    half_step = 0.5 * deceleration * dt_s
    speed = math.sqrt(half_step * half_step + 2.0 * deceleration * distance) - half_step
    return min(speed, distance / dt_s)


def clamp_norm(vector: Array, limit: float) -> Array:
    """Return `vector`, shortened to a length of `limit` if it is longer."""
    norm = math.sqrt(float(vector @ vector))
    return vector if norm <= limit else vector * (limit / norm)


def _largest_share(unchanged: Array, change: Array, limit: float) -> float:
    """Return the largest s of 0 to 1 with |unchanged + s change| <= limit.

    Where even that of s=0 is beyond the limit, all of the change: it is what ends the excess. All
    of it too where it is so small that its square loses digits.
    """
    square = float(change @ change)
    room = limit * limit - float(unchanged @ unchanged)
    if square <= _NEGLIGIBLE * limit * limit or room <= 0.0:
        return 1.0
    along = float(unchanged @ change)
    return min(1.0, (math.sqrt(along * along + square * room) - along) / square)


class ToolLimits:
    """Limits on the tool's velocity in the base frame."""

    def __init__(self, config: LimitsConfig, dt_s: float) -> None:
        self._linear_speed = config.max_linear_speed_m_s
        self._angular_speed = config.max_angular_speed_rad_s
        self._linear_step = config.max_linear_acceleration_m_s2 * dt_s
        self._angular_step = config.max_angular_acceleration_rad_s2 * dt_s
        self._linear_braking = _BRAKING_SHARE * config.max_linear_acceleration_m_s2
        self._angular_braking = _BRAKING_SHARE * config.max_angular_acceleration_rad_s2
        self.workspace_min_m = np.array(config.workspace_min_m)
        self.workspace_max_m = np.array(config.workspace_max_m)
        self._dt_s = dt_s

    def inside(self, position: Array) -> Array:
        """Return the nearest position in the workspace box, of shape (3,) in [m]."""
        return np.clip(position, self.workspace_min_m, self.workspace_max_m)

    def approach(self, error: Array) -> Array:
        """Return the velocity that closes a pose error and can still brake before it is closed.

        Args:
            error: What is missing to the target, of shape (6,): [m], then rotvec [rad].

        Returns:
            A velocity of shape (6,) in [m/s] and [rad/s], along the error.
        """
        velocity = np.zeros(6)
        for part, braking in (
            (slice(0, 3), self._linear_braking),
            (slice(3, 6), self._angular_braking),
        ):
            distance = math.sqrt(float(error[part] @ error[part]))
            if distance > 0.0:
                speed = braking_speed(distance, braking, self._dt_s)
                velocity[part] = error[part] * (speed / distance)
        return velocity

    def limit(self, wanted: Array, last: Array, position: Array) -> Array:
        """Return the tool velocity that may be executed now, of shape (6,).

        Args:
            wanted: Velocity asked for, of shape (6,) in [m/s] and [rad/s].
            last: Velocity in the tick before, of the same shape.
            position: Of the TCP, of shape (3,) in [m].
        """
        angular = clamp_norm(wanted[3:], self._angular_speed)
        limited = np.empty(6)
        limited[:3] = self._limit_linear(wanted[:3], last[:3], position)
        limited[3:] = last[3:] + clamp_norm(angular - last[3:], self._angular_step)
        return limited

    def reachable(self, unchanged: Array, change: Array) -> float:
        """Return the largest share of `change`, 0 to 1, that the acceleration limits allow.

        Args:
            unchanged: Acceleration times one tick if nothing is changed: the curvature of the path
                at constant joint velocities. Of shape (6,) in [m/s] and [rad/s].
            change: What the whole change would add to it.
        """
        linear = _largest_share(unchanged[:3], change[:3], self._linear_step)
        angular = _largest_share(unchanged[3:], change[3:], self._angular_step)
        return min(linear, angular)

    def speeds_used(self, velocity: Array) -> float:
        """Return how many times a tool velocity exceeds the speed limits; 1 is at them."""
        linear = math.sqrt(float(velocity[:3] @ velocity[:3])) / self._linear_speed
        angular = math.sqrt(float(velocity[3:] @ velocity[3:])) / self._angular_speed
        return max(linear, angular)

    def _limit_linear(self, wanted: Array, last: Array, position: Array) -> Array:
        """Return `limit`'s linear part: braking before walls comes first, then what is wanted."""
        lowest, highest = self._speeds_before_walls(position)
        braking = np.minimum(np.maximum(last, lowest), highest) - last
        if float(braking @ braking) >= self._linear_step * self._linear_step:
            return last + clamp_norm(braking, self._linear_step)
        goal = clamp_norm(np.minimum(np.maximum(wanted, lowest), highest), self._linear_speed)
        change = goal - last - braking
        return last + braking + change * _largest_share(braking, change, self._linear_step)

    def _speeds_before_walls(self, position: Array) -> tuple[Array, Array]:
        """Return the lowest and the highest velocity along each axis that stop at its walls."""
        deceleration = self._linear_braking / math.sqrt(3.0)  # three walls at once share the limit
        below = (position - self.workspace_min_m).tolist()
        above = (self.workspace_max_m - position).tolist()
        return (
            np.array([-braking_speed(gap, deceleration, self._dt_s) for gap in below]),
            np.array([braking_speed(gap, deceleration, self._dt_s) for gap in above]),
        )


class JointLimits:
    """Limits on joint velocities, for one robot."""

    def __init__(self, config: LimitsConfig, robot: Robot, dt_s: float) -> None:
        half_speed = 0.5 * np.array(robot.max_speed_rad_s)
        self._speed = np.minimum(config.max_joint_speed_rad_s, half_speed)
        self.acceleration = np.minimum(
            config.max_joint_acceleration_rad_s2, np.array(robot.max_acceleration_rad_s2)
        )
        self._step = self.acceleration * dt_s
        self._lower = np.array(robot.lower_rad) + config.joint_margin_rad
        self._upper = np.array(robot.upper_rad) - config.joint_margin_rad
        self._dt_s = dt_s

    def slow(self, wanted: Array, joints: Array) -> Array:
        """Return `wanted`, scaled as a whole to obey joint speeds and stop before joint stops.

        Scaling keeps the direction: the tool slows down on its path instead of leaving it.

        Args:
            wanted: Joint velocities of shape (J,) in [rad/s].
            joints: Joint positions of shape (J,) in [rad].
        """
        scale = 1.0 / max(1.0, float((np.abs(wanted) / self._speed).max()))
        gaps = np.where(wanted > 0.0, self._upper - joints, joints - self._lower)
        # far from its stops a joint that moves at full speed has room to brake: skip the roots
        room = self._speed * self._speed / (2.0 * _BRAKING_SHARE * self.acceleration)
        for i in np.flatnonzero((gaps < room + self._speed * self._dt_s) & (wanted != 0.0)):
            allowed = braking_speed(
                float(gaps[i]), _BRAKING_SHARE * float(self.acceleration[i]), self._dt_s
            )
            scale = min(scale, allowed / abs(float(wanted[i])))
        return wanted * scale

    def reachable(self, change: Array) -> float:
        """Return the largest share of `change` in [rad/s], 0 to 1, that one tick may hold."""
        return 1.0 / max(1.0, float((np.abs(change) / self._step).max()))

    def approach(self, error: Array) -> Array:
        """Return joint velocities along `error` of shape (J,) in [rad] that brake at its end."""
        distance = float(np.abs(error).max())
        if distance == 0.0:
            return np.zeros_like(error)
        deceleration = _BRAKING_SHARE * float(self.acceleration.min())
        return error * (braking_speed(distance, deceleration, self._dt_s) / distance)
