"""Limits on motion: speeds, accelerations, the workspace box, joint ranges.

Every limiter takes the wanted velocity and the velocity of the previous tick, and returns the
velocity allowed now. Limits compose because each result is a blend of the last and the wanted
velocity: a blend of two velocities that obey a speed limit obeys it too, and its acceleration is a
fraction of the wanted one. Nothing here is safety-rated.

Internally, 3-vectors are plain sequences of numbers, which are faster than such small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from carp_ros.rig import LimitsConfig
from carp_ros.robots import Robot
from carp_ros.types import Array

# When approaching a wall, a joint stop or a target, the speed is kept low enough to brake with half
# of the acceleration limit; the other half is kept in reserve to track a moving target.
_BRAKING_SHARE = 0.5
_NEGLIGIBLE = 1e-24


def braking_speed(distance: float, deceleration: float, dt_s: float) -> float:
    """Return the highest speed that still stops within `distance`, for ticks of `dt_s`.

    A distance of zero or less gives zero. Units must match: [m] with [m/s^2], [rad] with [rad/s^2].
    """
    if distance <= 0.0:
        return 0.0
    half_step = 0.5 * deceleration * dt_s
    speed = math.sqrt(half_step * half_step + 2.0 * deceleration * distance) - half_step
    return min(speed, distance / dt_s)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _minus(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [a[0] - b[0], a[1] - b[1], a[2] - b[2]]


def clamp_norm(vector: Sequence[float], limit: float) -> Sequence[float]:
    """Return `vector`, scaled down to a length of `limit` if it is longer."""
    norm = math.sqrt(_dot(vector, vector))
    return vector if norm <= limit else [x * (limit / norm) for x in vector]


def _largest_share(unchanged: Sequence[float], change: Sequence[float], limit: float) -> float:
    """Return the largest s from 0 to 1 with |unchanged + s * change| <= limit.

    Returns 1 if even s=0 exceeds the limit, because the change is what removes the excess, and if
    `change` is so small that its square loses precision.
    """
    square = _dot(change, change)
    room = limit * limit - _dot(unchanged, unchanged)
    if square <= _NEGLIGIBLE * limit * limit or room <= 0.0:
        return 1.0
    along = _dot(unchanged, change)
    return min(1.0, (math.sqrt(along * along + square * room) - along) / square)


def _within(vector: Sequence[float], ranges: Iterable[tuple[float, float]]) -> list[float]:
    """Return `vector` with each component clamped to its range."""
    return [min(max(x, lowest), highest) for x, (lowest, highest) in zip(vector, ranges)]


class ToolLimits:
    """Limits on the tool's velocity in the base frame."""

    def __init__(self, config: LimitsConfig, dt_s: float) -> None:
        self._linear_speed = config.max_linear_speed_m_s
        self._angular_speed = config.max_angular_speed_rad_s
        self._linear_step = config.max_linear_acceleration_m_s2 * dt_s
        self._angular_step = config.max_angular_acceleration_rad_s2 * dt_s
        self._linear_braking = _BRAKING_SHARE * config.max_linear_acceleration_m_s2
        self._angular_braking = _BRAKING_SHARE * config.max_angular_acceleration_rad_s2
        self._lowest_m, self._highest_m = config.workspace_min_m, config.workspace_max_m
        self._dt_s = dt_s

    def inside(self, position: Array) -> Array:
        """Return the nearest position inside the workspace box, of shape (3,) in [m]."""
        return np.array(_within(position.tolist(), zip(self._lowest_m, self._highest_m)))

    def approach(self, error: Array) -> Array:
        """Return the velocity towards a target pose that can still brake to a stop there.

        Args:
            error: Target pose minus current pose, of shape (6,): [m], then rotvec [rad].

        Returns:
            A velocity of shape (6,) in [m/s] and [rad/s], along the error.
        """
        numbers = error.tolist()
        velocity: list[float] = []
        for part, braking in (
            (numbers[:3], self._linear_braking),
            (numbers[3:], self._angular_braking),
        ):
            distance = math.sqrt(_dot(part, part))
            speed = braking_speed(distance, braking, self._dt_s)
            rate = speed / distance if distance > 0.0 else 0.0
            velocity += [x * rate for x in part]
        return np.array(velocity)

    def limit(self, wanted: Array, last: Array, position: Array) -> Array:
        """Return the tool velocity allowed in this tick, of shape (6,).

        Args:
            wanted: Requested velocity, of shape (6,) in [m/s] and [rad/s].
            last: Velocity in the previous tick, of the same shape.
            position: TCP position, of shape (3,) in [m].
        """
        goal, before = wanted.tolist(), last.tolist()
        linear = self._limit_linear(goal[:3], before[:3], position.tolist())
        turning = before[3:]
        angular = _minus(clamp_norm(goal[3:], self._angular_speed), turning)
        step = clamp_norm(angular, self._angular_step)
        return np.array([*linear, *(x + dx for x, dx in zip(turning, step))])

    def clamp_speed(self, velocity: Array) -> Array:
        """Return a tool velocity of shape (6,), scaled down to the speed limits."""
        numbers = velocity.tolist()
        linear = clamp_norm(numbers[:3], self._linear_speed)
        return np.array([*linear, *clamp_norm(numbers[3:], self._angular_speed)])

    def reachable(self, unchanged: Array, change: Array) -> float:
        """Return the largest share of `change`, 0 to 1, that the acceleration limits allow.

        Args:
            unchanged: Change of tool velocity in one tick at constant joint velocities, due to the
                curvature of the path. Of shape (6,) in [m/s] and [rad/s].
            change: What the full change would add to it.
        """
        u, c = unchanged.tolist(), change.tolist()
        linear = _largest_share(u[:3], c[:3], self._linear_step)
        return min(linear, _largest_share(u[3:], c[3:], self._angular_step))

    def speed_ratio(self, velocity: Array) -> float:
        """Return a tool velocity as a multiple of the speed limits; 1 is exactly at the limit."""
        linear = math.sqrt(float(velocity[:3] @ velocity[:3])) / self._linear_speed
        angular = math.sqrt(float(velocity[3:] @ velocity[3:])) / self._angular_speed
        return max(linear, angular)

    def braking(self, velocity: Array) -> float:
        """Return the allowed deceleration as a fraction of `velocity` per second, in [1/s].

        Args:
            velocity: Tool velocity, of shape (6,) in [m/s] and [rad/s].
        """
        numbers = velocity.tolist()
        linear, angular = math.hypot(*numbers[:3]), math.hypot(*numbers[3:])
        return min(
            self._linear_braking / max(linear, _NEGLIGIBLE),
            self._angular_braking / max(angular, _NEGLIGIBLE),
        )

    def _limit_linear(
        self, wanted: Sequence[float], last: Sequence[float], position: Sequence[float]
    ) -> list[float]:
        """Return the linear part of `limit`: braking before walls takes priority over `wanted`."""
        ranges = self._speeds_before_walls(position)
        braking = _minus(_within(last, ranges), last)
        if _dot(braking, braking) >= self._linear_step * self._linear_step:
            return [x + dx for x, dx in zip(last, clamp_norm(braking, self._linear_step))]
        goal = clamp_norm(_within(wanted, ranges), self._linear_speed)
        change = _minus(_minus(goal, last), braking)
        share = _largest_share(braking, change, self._linear_step)
        return [x + dx + share * more for x, dx, more in zip(last, braking, change)]

    def _speeds_before_walls(self, position: Sequence[float]) -> list[tuple[float, float]]:
        """Return, per axis, the lowest and highest velocity that can still stop at its walls."""
        deceleration = self._linear_braking / math.sqrt(3.0)  # three walls at once share the limit
        return [
            (
                -braking_speed(at - lowest, deceleration, self._dt_s),
                braking_speed(highest - at, deceleration, self._dt_s),
            )
            for at, lowest, highest in zip(position, self._lowest_m, self._highest_m)
        ]


@dataclass(frozen=True, slots=True)
class _Joint:
    """Limits of one joint in [rad/s], [rad/s^2] and [rad]."""

    speed: float
    acceleration: float
    lower: float
    upper: float


class JointLimits:
    """Limits on joint velocities, for one robot."""

    def __init__(self, config: LimitsConfig, robot: Robot, dt_s: float) -> None:
        margin_rad = config.joint_margin_rad
        limits = zip(robot.max_speed_rad_s, robot.max_acceleration_rad_s2)
        self._joints = [
            _Joint(
                speed=min(config.max_joint_speed_rad_s, 0.5 * speed),
                acceleration=min(config.max_joint_acceleration_rad_s2, acceleration),
                lower=lower + margin_rad,
                upper=upper - margin_rad,
            )
            for (speed, acceleration), lower, upper in zip(limits, robot.lower_rad, robot.upper_rad)
        ]
        self.acceleration = np.array([joint.acceleration for joint in self._joints])
        self._dt_s = dt_s

    def slow(self, wanted: Array, joints: Array) -> Array:
        """Return `wanted`, scaled uniformly to respect joint speeds and stop before joint stops.

        Uniform scaling keeps the direction: the tool slows down on its path instead of leaving it.

        Args:
            wanted: Joint velocities of shape (J,) in [rad/s].
            joints: Joint positions of shape (J,) in [rad].
        """
        scale = 1.0
        for joint, speed, at in zip(self._joints, wanted.tolist(), joints.tolist()):
            if speed != 0.0:
                gap = joint.upper - at if speed > 0.0 else at - joint.lower
                allowed = braking_speed(gap, _BRAKING_SHARE * joint.acceleration, self._dt_s)
                scale = min(scale, min(allowed, joint.speed) / abs(speed))
        return wanted * scale

    def ranges(self, joints: Array) -> list[tuple[float, float]]:
        """Return, per joint, the lowest and highest velocity that can still stop before its stops.

        Args:
            joints: Joint positions of shape (J,) in [rad].
        """
        ranges: list[tuple[float, float]] = []
        for joint, at in zip(self._joints, joints.tolist()):
            braking = _BRAKING_SHARE * joint.acceleration
            down = braking_speed(at - joint.lower, braking, self._dt_s)
            up = braking_speed(joint.upper - at, braking, self._dt_s)
            ranges.append((-min(down, joint.speed), min(up, joint.speed)))
        return ranges

    def braked(self, velocities: Array, last: Array, joints: Array) -> Array:
        """Return `velocities` with each joint as slow as it must be to stop before its stops.

        Args:
            velocities: For the next tick, of shape (J,) in [rad/s].
            last: Those of the last tick; no joint changes faster than its acceleration allows.
            joints: Joint positions of shape (J,) in [rad].
        """
        most = self.acceleration * self._dt_s
        lowest, highest = np.array(self.ranges(joints)).T
        return np.clip(np.clip(velocities, lowest, highest), last - most, last + most)

    def reachable(self, change: Array) -> float:
        """Return the largest share of `change` in [rad/s], 0 to 1, allowed in one tick."""
        used = max(
            abs(step) / joint.acceleration for joint, step in zip(self._joints, change.tolist())
        )
        return 1.0 / max(1.0, used / self._dt_s)

    def approach(self, error: Array, most_rad_s2: float = math.inf) -> Array:
        """Return joint velocities along `error` that can still brake to a stop at the goal.

        Args:
            error: Goal minus current joint positions, of shape (J,) in [rad].
            most_rad_s2: Largest deceleration of the fastest joint that the tool limits allow.
        """
        distance = float(np.abs(error).max())
        if distance == 0.0:
            return np.zeros_like(error)
        deceleration = min(_BRAKING_SHARE * float(self.acceleration.min()), most_rad_s2)
        return error * (braking_speed(distance, deceleration, self._dt_s) / distance)
