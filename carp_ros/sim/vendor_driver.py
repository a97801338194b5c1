"""A stand-in for a vendor's ros2_control driver: its controller, its robot, and how both fail.

It does what `ur_robot_driver` and `franka_ros2` do as far as this package can tell: the controller
holds the newest command for ever, forgets it when it is activated, and ignores a command of another
length or with a number that is not finite. The robot follows as a system of first order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from carp_ros.types import Array


@dataclass
class Faults:
    """What is wrong with the driver; nothing by default.

    Attributes:
        silent_cycles: Cycles for which no joint states come.
        blocked: Whether something holds the arm.
        repeats: Whether joint states keep their stamp.
        missing: Joint left out of the joint states; empty for none.
        nan: Joint whose position is not a number; empty for none.
        drift_rad_s: Speed at which another program, not the controller, moves the first joint.
    """

    silent_cycles: int = 0
    blocked: bool = False
    repeats: bool = False
    missing: str = ""
    nan: str = ""
    drift_rad_s: float = 0.0


@dataclass
class VendorDriver:
    """One arm behind one position controller.

    Attributes:
        names: The robot's joints, in the order of the controller's commands.
        joints: Where they are, of shape (J,) in [rad].
        time_constant_s: Of the robot's response.
        active: Whether the controller is.
        runs_program: Whether the robot runs the driver's program.
        tells_velocities: Whether joint states have them.
        extra: Further joints in the joint states, before the arm's.
        state_order: Order of the arm's joints in the joint states; empty: that of `names`.
        faults: What is wrong.
        commands: Number of commands that the controller took.
        largest_lead_rad: Largest distance of a command from the arm.
        largest_step_rad: Largest distance of a command from the one before.
    """

    names: tuple[str, ...]
    joints: Array
    time_constant_s: float = 0.03
    active: bool = True
    runs_program: bool = True
    tells_velocities: bool = True
    extra: tuple[str, ...] = ("finger_joint",)
    state_order: tuple[str, ...] = ()
    faults: Faults = field(default_factory=Faults)
    commands: int = 0
    largest_lead_rad: float = 0.0
    largest_step_rad: float = 0.0
    _command: Array | None = None
    _velocities: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self._velocities = np.zeros(len(self.joints))

    def take(self, positions: Sequence[float], names: Sequence[str] = ()) -> None:
        """Take a command, unless the controller is not active or would refuse it.

        Args:
            positions: In [rad].
            names: The joints that they are for; empty: those of the controller.
        """
        given = list(names) or list(self.names)
        right = sorted(given) == sorted(self.names) and len(positions) == len(given)
        if not (self.active and right and all(map(math.isfinite, positions))):
            return
        command = np.array([positions[given.index(name)] for name in self.names])
        before = self.joints if self._command is None else self._command
        self.commands += 1
        self.largest_lead_rad = _larger(self.largest_lead_rad, command - self.joints)
        self.largest_step_rad = _larger(self.largest_step_rad, command - before)
        self._command = command

    def activate(self, active: bool) -> None:
        """Activate the controller, or deactivate it; either way the robot stays where it is."""
        self.active, self._command = active, None

    def run_program(self, runs: bool) -> None:
        """Let the robot run the driver's program or not; the controller is active as it does."""
        self.runs_program = runs
        self.activate(runs)

    def place(self, joints: Array) -> None:
        """Put the arm somewhere else, as a person does who moves it by hand."""
        self.joints, self._command = np.array(joints, dtype=float), None

    def reset_statistics(self) -> None:
        """Forget the commands so far."""
        self.commands, self.largest_lead_rad, self.largest_step_rad = 0, 0.0, 0.0

    def cycle(self, period_s: float) -> None:
        """Let the robot go on for one period."""
        before = self.joints
        drift_rad = self.faults.drift_rad_s * period_s
        if drift_rad:
            self.joints = before + drift_rad * np.eye(len(before))[0]
        elif self._command is not None and not self.faults.blocked and self.runs_program:
            share = 1.0 - math.exp(-period_s / self.time_constant_s)
            self.joints = before + share * (self._command - before)
        self._velocities = (self.joints - before) / period_s

    def joint_state(self) -> tuple[list[str], list[float], list[float]] | None:
        """Return names, positions and velocities of the joint states, or None if none come."""
        if self.faults.silent_cycles > 0:
            self.faults.silent_cycles -= 1
            return None
        faults, order = self.faults, self.state_order or self.names
        arm = {
            name: (math.nan if name == faults.nan else position, velocity)
            for name, position, velocity in zip(
                self.names, self.joints.tolist(), self._velocities.tolist()
            )
        }
        others = {name: (0.0, math.nan) for name in self.extra}
        told = others | {name: arm[name] for name in order if name != faults.missing}
        velocities = [velocity for _, velocity in told.values()] if self.tells_velocities else []
        return list(told), [position for position, _ in told.values()], velocities


def _larger(largest: float, difference: Array) -> float:
    return max(largest, float(np.abs(difference).max()))
