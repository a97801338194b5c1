"""Motions of the controller's joint set-point, one cycle at a time.

Every motion starts from the current set-point, including its velocity, so that switching between
motions never makes the set-point jump.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carp_ros.sim.plant import CYCLE_S
from carp_ros.sim.servoj import ServoJ
from carp_ros.types import Array


@dataclass
class SetPoint:
    """The motors' set-point: `joints` in [rad], `velocities` in [rad/s], both of shape (J,).

    `speed_fraction` is the pendant's speed slider, 0 to 1, which scales the speed of servoJ.
    """

    joints: Array
    velocities: Array
    speed_fraction: float = 1.0

    def follow(self, velocities: Array) -> None:
        """Move at `velocities` for one cycle."""
        self.joints = self.joints + velocities * CYCLE_S
        self.velocities = velocities

    @property
    def steady(self) -> bool:
        """Whether it is at rest."""
        return not self.velocities.any()


class ProgramMotion(Protocol):
    """A motion of the set-point."""

    def step(self, point: SetPoint) -> bool:
        """Move `point` by one cycle; return whether the motion has ended."""
        ...


class StopMotion:
    """Decelerate along the current direction, to a standstill.

    Args:
        deceleration: Of the fastest joint, in [rad/s2].
    """

    def __init__(self, deceleration: float) -> None:
        self._step_rad_s = max(deceleration, 0.1) * CYCLE_S

    def step(self, point: SetPoint) -> bool:
        """Reduce the velocity by one cycle's deceleration."""
        fastest = float(np.abs(point.velocities).max())
        point.follow(point.velocities * max(0.0, 1.0 - self._step_rad_s / max(fastest, 1e-9)))
        return point.steady


class SpeedMotion:
    """Hold joint velocities (speedJ) until replaced.

    Args:
        velocities: Of shape (J,) in [rad/s].
        acceleration: Of the joint whose velocity changes most, in [rad/s2].
    """

    def __init__(self, velocities: Array, acceleration: float) -> None:
        self._velocities = velocities
        self._step_rad_s = max(acceleration, 0.1) * CYCLE_S

    def step(self, point: SetPoint) -> bool:
        """Change the velocities towards the commanded ones by one cycle's acceleration."""
        change = self._velocities - point.velocities
        largest = float(np.abs(change).max())
        point.follow(point.velocities + change * min(1.0, self._step_rad_s / max(largest, 1e-9)))
        return False


class ServoMotion:
    """Track a streamed joint target (servoJ) until replaced.

    Args:
        follower: At rest at the set-point.
    """

    def __init__(self, follower: ServoJ) -> None:
        self._follower = follower

    def aim(self, target: Array, lookahead_s: float, gain: float) -> None:
        """Track `target`, of shape (J,) in [rad], from now on."""
        self._target, self._lookahead_s, self._gain = target, lookahead_s, gain

    def step(self, point: SetPoint) -> bool:
        """Set the set-point to the follower's next one."""
        point.joints = self._follower.step(
            self._target, self._gain, self._lookahead_s, point.speed_fraction
        )
        point.velocities = self._follower.velocity
        return False


class FreeMotion:
    """Yield to a hand (teach mode, freedrive) until replaced.

    Args:
        torques: Returns how the hand turns the joints there, of shape (J,) in [Nm].
        locked: Returns how joint speeds move the tool there along what does not yield, of shape
            (K, J).
    """

    _DRAG = 25.0  # [Nm s/rad]
    _LAG_S = 0.05
    _SINGULAR = 1e-10  # added, so that a singular arm has a solution, too

    def __init__(
        self,
        torques: Callable[[Array], Array],
        locked: Callable[[Array], Array] | None = None,
    ) -> None:
        self._torques = torques
        self._locked = locked

    def step(self, point: SetPoint) -> bool:
        """Approach the speeds at which drag balances the hand."""
        wanted = self._torques(point.joints) / self._DRAG
        velocities = point.velocities + (wanted - point.velocities) * (CYCLE_S / self._LAG_S)
        if self._locked is not None:
            # As half-way through the cycle, or the tool would drift off along what is locked.
            locked = self._locked(point.joints + 0.5 * CYCLE_S * point.velocities)
            along = locked @ locked.T + self._SINGULAR * np.eye(len(locked))
            velocities = velocities - locked.T @ np.linalg.solve(along, locked @ velocities)
        point.follow(velocities)
        return False


class PathMotion:
    """Follow a path to its end (moveJ, moveL) with a trapezoidal speed profile.

    Args:
        path: Returns joint positions, of shape (J,), at a fraction 0 to 1 of the path.
        length: Of the path, in the unit of `speed` times seconds.
        speed, acceleration: Along the path.
    """

    def __init__(
        self, path: Callable[[float], Array], length: float, speed: float, acceleration: float
    ) -> None:
        self._path = path
        self._length = length
        self._acceleration = max(acceleration, 1e-3)
        self._speed = min(max(speed, 1e-3), math.sqrt(max(length, 1e-12) * self._acceleration))
        self._duration_s = length / self._speed + self._speed / self._acceleration
        self._time_s = 0.0

    def step(self, point: SetPoint) -> bool:
        """Go to the path's next point."""
        self._time_s += CYCLE_S
        ended = self._time_s >= self._duration_s
        joints = self._path(1.0 if ended else self._travelled(self._time_s) / self._length)
        point.velocities = (joints - point.joints) / CYCLE_S if not ended else 0.0 * joints
        point.joints = joints
        return ended

    def _travelled(self, time_s: float) -> float:
        ramp_s = self._speed / self._acceleration
        left_s = self._duration_s - time_s
        if time_s < ramp_s:
            return 0.5 * self._acceleration * time_s**2
        if left_s < ramp_s:
            return self._length - 0.5 * self._acceleration * left_s**2
        return self._speed * (time_s - 0.5 * ramp_s)
