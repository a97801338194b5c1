"""What all steps of a first motion share: the place they work in, and how they move the arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carp_ros.commissioning.access import MovableArm, Person
from carp_ros.commissioning.timed_path import TimedPath
from carp_ros.commissioning.track import Track
from carp_ros.control.kinematics import Kinematics
from carp_ros.errors import CarpError
from carp_ros.geometry import rotation_between
from carp_ros.reports.control import Source
from carp_ros.reports.first_motion import Figure, StepName
from carp_ros.rig import LimitsConfig, Rig
from carp_ros.types import Array, Pose

SLOW = 0.25
"""Of the speed limits: how fast the arm goes to a limit and back."""

_EVERY_S = 0.1
_SETTLE_S = 0.6
_BEGIN_NS = 100_000_000
_MOST_SET_NS = 100_000_000  # the plan before goes on meanwhile; being slewed is slower


class StepError(CarpError):
    """A step can't be done here, such as for want of room."""


@dataclass(frozen=True)
class Cell:
    """Where the steps are done.

    Attributes:
        rig: The rig.
        arm: Its arm.
        person: Who stands beside it.
        kinematics: Of the arm with its tool.
    """

    rig: Rig
    arm: MovableArm
    person: Person
    kinematics: Kinematics

    @property
    def limits(self) -> LimitsConfig:
        """The rig's limits."""
        return self.rig.limits


class Step(Protocol):
    """One step; whoever runs it stops the arm afterwards, however it ends."""

    @property
    def name(self) -> StepName:
        """Which one."""
        ...

    @property
    def is_needed(self) -> bool:
        """Whether the steps after it make no sense unless it has passed."""
        ...

    def plan(self, cell: Cell) -> str:
        """Return what is about to happen, as a person is asked; empty if nothing moves.

        Raises:
            CarpError: If it can't be done here.
        """
        ...

    def carry_out(self, cell: Cell) -> list[Figure]:
        """Do it and return what was measured.

        Raises:
            CarpError: If the arm stopped, or the person did not agree.
        """
        ...


def follow(
    cell: Cell,
    path: TimedPath,
    until: Callable[[], bool] | None = None,
    settle_s: float = _SETTLE_S,
) -> bool:
    """Let the enabled arm follow a path and come to rest.

    Only a second of it is sent at a time, so that the arm stops soon if this program dies.

    Args:
        cell: The arm.
        path: The path; it begins where the tool is.
        until: Asked many times a second; true ends the motion at once.
        settle_s: How long its end is held, for the arm to get there.

    Returns:
        Whether `until` ended it.

    Raises:
        StoppedError: If motion is not enabled any more.
        StepError: If the machine's clock was set meanwhile.
    """
    arm, gripper = cell.arm, cell.arm.reading().gripper
    begun_ns, ahead_ns = arm.now_ns() + _BEGIN_NS, arm.now_ns() - arm.steady_ns()
    end_ns = begun_ns - ahead_ns + round((path.seconds + settle_s) * 1e9)
    while arm.steady_ns() < end_ns:
        now_ns = arm.now_ns()
        set_ns = now_ns - arm.steady_ns() - ahead_ns
        if abs(set_ns) > _MOST_SET_NS:
            raise StepError(
                f"this machine's clock was set by {set_ns * 1e-9:+.1f} s while the arm moved;"
                " expected one that runs on: begin again once it is synchronised (carp check"
                " says)"
            )
        if until is not None and until():
            return True
        arm.send(path.chunk(now_ns, begun_ns, gripper))
        arm.wait(_EVERY_S)
    return False


def moved(cell: Cell, path: TimedPath) -> Track:
    """Enable the arm, let it follow a path, stop it, and return what was measured."""
    cell.arm.enable(Source.POLICY)
    cell.arm.start_track()
    follow(cell, path)
    track = cell.arm.track()
    cell.arm.disable()
    return track


def go_back(cell: Cell, to: Pose) -> None:
    """Move the tool slowly back to a pose."""
    here, limits = cell.arm.reading().tool, cell.limits
    shift, turn = to.position - here.position, rotation_between(here.quaternion, to.quaternion)
    seconds = max(
        TimedPath.straight(here, shift, SLOW * limits.max_linear_speed_m_s).seconds,
        TimedPath.turned(here, turn, SLOW * limits.max_angular_speed_rad_s).seconds,
    )
    moved(cell, TimedPath(here, shift, turn, seconds))


def roomiest(limits: LimitsConfig, position: Array) -> tuple[Array, float]:
    """Return the direction along an axis with the most room inside the box, and that room in [m].

    Down is left out: there is the table.
    """
    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    rooms = [(axis * 2, float(high[axis] - position[axis])) for axis in range(3)]
    rooms += [(axis * 2 + 1, float(position[axis] - low[axis])) for axis in range(2)]
    best, room_m = max(rooms, key=lambda room: room[1])
    direction = np.zeros(3)
    direction[best // 2] = -1.0 if best % 2 else 1.0
    return direction, room_m


def in_words(direction: Array) -> str:
    """Return a direction along an axis as `+x`."""
    axis = int(np.argmax(np.abs(direction)))
    return ("-" if direction[axis] < 0.0 else "+") + "xyz"[axis]
