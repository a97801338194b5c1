"""The self-motion of an arm with seven joints: how the elbow moves while the tool follows its path.

Seven joints leave one direction of motion free. It is used first to keep every joint off its stops,
so that the tool goes on where the smallest joint velocities would run into one, and otherwise to
draw the arm towards a posture (gradient projection: Liegeois, 1977). The arm moves itself only
while its tool is asked to move, and in proportion to that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carp_ros.control.limits import JointLimits
from carp_ros.robots import Robot
from carp_ros.types import Array

_RATE_HZ = 1.0  # of the approach to the posture
_FASTEST_RAD_S = 0.4
_PER_M = 2.0  # self-motion [rad/s] per speed of the tool [m/s]
_PER_RAD = 1.0
_ACCELERATION_SHARE = 0.25  # of the slowest joint's; the tool needs the rest
_NEGLIGIBLE = 1e-9


class Posture:
    """Chooses the self-motion of one redundant arm.

    Args:
        robot: For the ranges of its joints.
        limits: Of the joints' velocities.
        rest: Joint positions to be drawn to, of shape (J,) in [rad]; usually the rig's home.
        period_s: Time between two calls.
    """

    def __init__(self, robot: Robot, limits: JointLimits, rest: Array, period_s: float) -> None:
        self._limits = limits
        self._rest = rest
        self._half = 0.5 * (np.array(robot.upper_rad) - np.array(robot.lower_rad))
        self._middle = 0.5 * (np.array(robot.upper_rad) + np.array(robot.lower_rad))
        self._step = _ACCELERATION_SHARE * float(limits.acceleration.min()) * period_s

    def add(
        self, velocities: Array, self_motion: Array, joints: Array, last: Array, wanted: Array
    ) -> Array:
        """Return joint velocities within the ranges of `limits` that move the tool as asked.

        The tool keeps its direction, and its speed where some self-motion allows that.

        Args:
            velocities: Smallest joint velocities that move the tool as allowed, (J,) in [rad/s].
            self_motion: Unit vector of shape (J,) that does not move the tool.
            joints: Joint positions of shape (J,) in [rad].
            last: Joint velocities of the previous tick, of shape (J,) in [rad/s].
            wanted: Velocity that the tool is asked for, of shape (6,) in [m/s] and [rad/s].
        """
        linear, angular = math.hypot(*wanted[:3].tolist()), math.hypot(*wanted[3:].tolist())
        most = min(_FASTEST_RAD_S, _PER_M * linear + _PER_RAD * angular)
        pull = min(max(float(self_motion @ self._pull(joints)), -most), most)
        before = float(self_motion @ last)
        pull = min(max(pull, before - self._step), before + self._step)
        share, lowest, highest = _feasible(
            velocities.tolist(), self_motion.tolist(), self._limits.ranges(joints)
        )
        return share * velocities + min(max(pull, lowest), highest) * self_motion

    def _pull(self, joints: Array) -> Array:
        """Return the velocities [rad/s] that lead towards the posture and away from the stops."""
        off = (joints - self._middle) / self._half
        near = off**3 / np.maximum(1.0 - off * off, 0.01)
        return -_RATE_HZ * (joints - self._rest + self._half * near)


def _feasible(
    velocities: Sequence[float],
    self_motion: Sequence[float],
    ranges: Sequence[tuple[float, float]],
) -> tuple[float, float, float]:
    """Return the largest share of `velocities`, 0 to 1, that some self-motion keeps in `ranges`.

    Each joint bounds share * velocity + z * self_motion from both sides, which leaves an interval
    of z for a given share. Two bounds of z meet at one share; the smallest such share is the
    largest at which the interval is not empty.

    Returns:
        The share, and the lowest and highest amount z of self-motion then.
    """
    share = 1.0
    lower: list[tuple[float, float]] = []  # z >= constant - slope * share
    upper: list[tuple[float, float]] = []  # z <= constant - slope * share
    for velocity, free, (lowest, highest) in zip(velocities, self_motion, ranges):
        if abs(free) < _NEGLIGIBLE:
            if not lowest <= velocity <= highest:
                share = min(share, (highest if velocity > 0.0 else lowest) / velocity)
            continue
        slope, ends = velocity / free, (lowest / free, highest / free)
        lower.append((min(ends), slope))
        upper.append((max(ends), slope))
    for least, slope in lower:
        for most, other in upper:
            if (other - slope) * share > most - least:
                share = (most - least) / (other - slope)
    at_least = max((least - slope * share for least, slope in lower), default=0.0)
    at_most = min((most - slope * share for most, slope in upper), default=0.0)
    return share, at_least, max(at_least, at_most)
