"""The plant that the controller drives, joints and gripper, in steps of one control cycle."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.types import Array

CYCLE_S = 0.002
"""The physics' step, and the cycle of a UR controller: 500 Hz."""


class Plant(Protocol):
    """A simulated arm with a gripper.

    Attributes:
        period_s: Time that one `advance` takes.
    """

    period_s: float

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
        """Measured closure of the fingers, 0 open to 1 closed."""
        ...

    @property
    def wrench(self) -> Array:
        """What pushes the tool: see `carp_ros.types.ArmState`."""
        ...

    def drive(self, joints: Array, gripper: float) -> None:
        """Set the motors' set-points: joints of shape (J,) in [rad], fingers 0 to 1."""
        ...

    def advance(self) -> None:
        """Advance by one cycle."""
        ...

    def publish(self, wall_ns: int) -> None:
        """Publish the state at `wall_ns` (CLOCK_REALTIME) for rendering."""
        ...

    def scatter(self, seed: int, level: str, instruction: str = "") -> dict[str, Any]:
        """Rearrange the objects at random; the arm does not move.

        Args:
            seed: Of places, colours and what is asked for.
            level: How much they vary.
            instruction: What is asked for instead, in words.

        Returns:
            What is asked for, as `instruction`.

        Raises:
            DeviceError: If there are no objects, no such level, or nothing fits the instruction.
        """
        ...

    def judge(self) -> dict[str, Any]:
        """Return the task's verdict: `success`, and otherwise the `reasons`.

        Raises:
            DeviceError: If there is no task.
        """
        ...

    def close(self) -> None:
        """Remove the shared memory."""
        ...


class KinematicPlant:
    """An arm without physics, for tests of drivers: joints reach their set-point at once.

    Args:
        joints: Initial positions, of shape (J,) in [rad].
        period_s: Time that one `advance` takes.
    """

    def __init__(self, joints: Array, period_s: float = CYCLE_S) -> None:
        self.period_s = period_s
        self.joints = np.array(joints, dtype=float)
        self.velocities = np.zeros_like(self.joints)
        self.gripper_closure = 0.0
        self.wrench = np.zeros(6)
        self._target = self.joints

    def drive(self, joints: Array, gripper: float) -> None:
        """Set the positions for the next `advance`."""
        self._target = joints
        self.gripper_closure = gripper

    def advance(self) -> None:
        """Move to the set positions."""
        self.velocities = (self._target - self.joints) / self.period_s
        self.joints = self._target

    def publish(self, wall_ns: int) -> None:
        """Do nothing: there is nothing to render."""

    def scatter(self, seed: int, level: str, instruction: str = "") -> dict[str, Any]:
        """Raise: there are no objects."""
        raise DeviceError("this arm has no objects to scatter; start with --physics cell")

    def judge(self) -> dict[str, Any]:
        """Raise: there is no task."""
        raise DeviceError("this arm has no task to judge; start with --physics cell")

    def close(self) -> None:
        """Do nothing: there is no shared memory."""
