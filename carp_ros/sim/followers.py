"""How an arm follows joint targets in lockstep: the response of its controller, by driver.

In real time the emulated controllers do the same, from what their clients send.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from carp_ros.rig import Rig
from carp_ros.rig_devices import Fr3ArmConfig, UrArmConfig
from carp_ros.sim.franka.motion import SetPoint
from carp_ros.sim.servoj import ServoJ
from carp_ros.types import Array


class Follower(Protocol):
    """The response of one arm."""

    def step(self, target: Array) -> Array:
        """Return the motors' set-point of the next period, of shape (J,) in [rad].

        Args:
            target: Joint positions to track, of shape (J,) in [rad].
        """
        ...


def make_follower(rig: Rig, joints: Array, period_s: float) -> Follower:
    """Return the response of a rig's arm, at rest.

    Args:
        rig: For its arm and servo.
        joints: The arm's positions, of shape (J,) in [rad].
        period_s: Time between two calls of `step`.

    Raises:
        ValueError: If the cell has no model of the arm's controller.
    """
    if isinstance(rig.arm, UrArmConfig):
        return _ServoJFollower(rig, rig.arm, joints, period_s)
    if isinstance(rig.arm, Fr3ArmConfig):
        return ImpedanceFollower(rig.arm, 1.0 / rig.servo.rate_hz, joints, period_s)
    raise ValueError(f"arm.driver is {rig.arm.driver!r}; expected ur or fr3 in a simulated cell")


class _ServoJFollower:
    def __init__(self, rig: Rig, config: UrArmConfig, joints: Array, period_s: float) -> None:
        self._config = config
        self._servoj = ServoJ(rig.robot, joints, period_s)

    def step(self, target: Array) -> Array:
        return self._servoj.step(target, self._config.gain, self._config.lookahead_s)


class ImpedanceFollower:
    """A joint impedance controller of 1 kHz on the emulated FR3's inertia.

    Args:
        config: The rig's `arm` section.
        target_period_s: Time between two targets, from which follows their speed.
        joints: The arm's positions, of shape (7,) in [rad].
        period_s: Time between two calls of `step`.
    """

    def __init__(
        self, config: Fr3ArmConfig, target_period_s: float, joints: Array, period_s: float
    ) -> None:
        self._stiffness, self._damping = config.stiffness_nm_rad, config.damping_nm_s_rad
        self._target_period_s = target_period_s
        self._cycles = max(1, round(period_s / _CYCLE_S))
        self._point = SetPoint(joints.tolist(), [0.0] * len(joints))
        self._target = joints
        self._wanted = list(zip(self._point.joints, self._point.velocities))

    def step(self, target: Array) -> Array:
        """Return the motors' set-point of the next period, of shape (7,) in [rad]."""
        if target is not self._target:
            speed = (target - self._target) / self._target_period_s
            self._wanted, self._target = list(zip(target.tolist(), speed.tolist())), target
        point = self._point
        for _ in range(self._cycles):
            here = zip(self._wanted, point.joints, point.velocities)
            law = zip(self._stiffness, self._damping, here)
            point.push(
                [
                    stiffness * (wanted - joint) + damping * (speed - velocity)
                    for stiffness, damping, ((wanted, speed), joint, velocity) in law
                ],
                _CYCLE_S,
            )
        return np.array(point.joints)


_CYCLE_S = 0.001
