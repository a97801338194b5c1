"""What the controller drives: joints and fingers, in steps of one control cycle."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.types import Array

CYCLE_S = 0.002
"""The controller's cycle and the physics' step: 500 Hz."""


class Plant(Protocol):
    """A simulated arm with a gripper."""

    @property
    def joints(self) -> Array:
        """Joint positions of shape (J,) in [rad]."""
        ...

    @property
    def velocities(self) -> Array:
        """Joint velocities of shape (J,) in [rad/s]."""
        ...

    @property
    def gripper_closure(self) -> float:
        """Where the fingers are, 0 open to 1 closed."""
        ...

    def drive(self, joints: Array, gripper: float) -> None:
        """Set what the motors aim at: joints of shape (J,) in [rad], fingers 0 to 1."""
        ...

    def advance(self) -> None:
        """Let one cycle pass."""
        ...

    def publish(self, wall_ns: int) -> None:
        """Hand the state, which is of `wall_ns` (CLOCK_REALTIME), to whoever renders it."""
        ...

    def scatter(self, seed: int, level: str) -> None:
        """Put the objects to new places; the arm stays where it is.

        Raises:
            DeviceError: If there are no objects, or no such level.
        """
        ...

    def judge(self) -> dict[str, Any]:
        """Return how the task stands: `success`, and the `reasons` that speak against it.

        Raises:
            DeviceError: If there is no task.
        """
        ...

    def close(self) -> None:
        """Leave nothing behind in shared memory."""
        ...


class KinematicPlant:
    """An arm without physics: every joint is at once where it is driven. For tests of drivers.

    Args:
        joints: Where the arm starts, of shape (J,) in [rad].
    """

    def __init__(self, joints: Array) -> None:
        self.joints = np.array(joints, dtype=float)
        self.velocities = np.zeros_like(self.joints)
        self.gripper_closure = 0.0
        self._target = self.joints

    def drive(self, joints: Array, gripper: float) -> None:
        """Set what `advance` moves to."""
        self._target = joints
        self.gripper_closure = gripper

    def advance(self) -> None:
        """Take the place that was set."""
        self.velocities = (self._target - self.joints) / CYCLE_S
        self.joints = self._target

    def publish(self, wall_ns: int) -> None:
        """Do nothing: there is nothing to see."""

    def scatter(self, seed: int, level: str) -> None:
        """Refuse: there are no objects."""
        raise DeviceError("this arm has no objects to scatter; start with --physics cell")

    def judge(self) -> dict[str, Any]:
        """Refuse: there is no task."""
        raise DeviceError("this arm has no task to judge; start with --physics cell")

    def close(self) -> None:
        """Do nothing: nothing was shared."""
