"""What the steps of a first motion need of the arm and of the person beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from carp_ros.commissioning.track import Track
from carp_ros.reports.control import ControlStatus, Fault, Source
from carp_ros.types import Array, Chunk, Pose, SafetyState


@dataclass(frozen=True)
class Reading:
    """What the running system says of the arm now.

    Attributes:
        status: The control node's.
        safety: State of the robot's safety controller.
        speed_scaling: The share of commanded speed that the robot executes.
        joints: Measured, of shape (J,) in [rad].
        tool: Measured `base_from_tcp`.
        gripper: Commanded closure, 0 open to 1 closed.
    """

    status: ControlStatus
    safety: SafetyState
    speed_scaling: float
    joints: Array
    tool: Pose
    gripper: float


class MovableArm(Protocol):
    """The arm, as a client of the running system sees it: everything goes through its limits."""

    def now_ns(self) -> int:
        """Return the ROS time, of which the times of plans and tracks are."""
        ...

    def steady_ns(self) -> int:
        """Return the time of a clock that nobody sets."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def reading(self) -> Reading:
        """Return the newest reading.

        Raises:
            DeviceError: If none arrives.
        """
        ...

    def start_track(self) -> None:
        """Forget the track, and record a new one from now on."""
        ...

    def track(self) -> Track:
        """Return what was measured since `start_track`.

        Raises:
            DeviceError: If nothing was.
        """
        ...

    def enable(self, source: Source) -> None:
        """Select who may move the arm, and enable motion.

        Raises:
            StoppedError: If that is refused.
        """
        ...

    def disable(self) -> None:
        """Stop the arm; motion needs a new enable."""
        ...

    def send(self, chunk: Chunk) -> None:
        """Send a plan.

        Raises:
            StoppedError: If motion is not enabled any more.
        """
        ...

    @property
    def deadman(self) -> bool:
        """Whether the dead-man button is held, by its newest heartbeat."""
        ...

    @property
    def moving(self) -> bool:
        """Whether the arm is commanded to move now."""
        ...

    @property
    def fault(self) -> Fault:
        """The latched fault."""
        ...


class Person(Protocol):
    """Who stands beside the arm."""

    def tell(self, text: str) -> None:
        """Show a text."""
        ...

    def confirm(self, question: str) -> bool:
        """Ask; return whether the answer is a typed yes."""
        ...

    def has_pressed_enter(self) -> bool:
        """Return whether Enter was pressed since the last question; does not wait."""
        ...
