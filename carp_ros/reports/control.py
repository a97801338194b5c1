"""What the control node tells: who may move the arm, why it stands, which chunks it followed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import ClassVar

from carp_ros.errors import DeviceError


class Source(Enum):
    """What may move the arm; the values are the names in services and diagnostics."""

    HOLD = "hold"
    TELEOP = "teleop"
    POLICY = "policy"
    HOME = "home"


class Fault(IntEnum):
    """Why the arm stands and stays, until an operator resets it."""

    NONE = 0
    ROBOT_SILENT = 1
    SAFETY_STOP = 2
    NOT_READY = 3
    TRACKING = 4
    CONTROL_SILENT = 5
    REFUSED = 6
    SERVO_LOST = 7  # latched where the process is watched: it can't tell by itself
    NO_SERVO = 8  # only told: no servo process is connected to the arm yet


class Reason(Enum):
    """Why motion is not enabled, or why an enable was refused."""

    NONE = auto()
    """Motion is enabled."""
    NOT_ENABLED = auto()
    """Nobody has enabled it since the start."""
    SELECTED = auto()
    """A source was selected; the enable is still to come."""
    STOPPED = auto()
    """An operator stopped it."""
    FAULT = auto()
    """A fault stands; `Fault` says which."""
    FAULT_RESET = auto()
    """A fault was reset; the enable is still to come."""
    RESETTING = auto()
    """A fault is being reset."""
    SERVO_LOST = auto()
    """The servo process died or hung."""
    NO_SERVO = auto()
    """No servo process is connected to the arm yet."""
    NOT_ACTIVE = auto()
    """The control node is not active in its lifecycle."""
    NO_SOURCE = auto()
    """No source is selected."""
    HOME_REACHED = auto()
    """The way home is done."""
    HAND_SILENT = auto()
    """The operator's dead-man heartbeat ceased during teleoperation."""
    NO_TAKE_OVER = auto()
    """No dead-man heartbeat: nobody could take over from the policy."""
    IMAGE_MISSING = auto()
    """A camera that the policy looks through has sent no image yet."""
    IMAGE_STALE = auto()
    """The newest image of such a camera is too old."""
    NO_CHUNK = auto()
    """No chunk came after the enable."""
    CHUNKS_ENDED = auto()
    """The last chunk ended and no other came."""
    CHUNKS_REFUSED = auto()
    """Chunk after chunk was refused."""
    SECOND_PUBLISHER = auto()
    """Two publishers on a topic where one is expected."""
    PROCESS_DIED = auto()
    """Another process of the system died."""


@dataclass(frozen=True)
class Why:
    """A reason; the same in words, with the remedy; and which fault it is, if it is one."""

    code: Reason
    text: str
    fault: Fault = Fault.NONE

    def __str__(self) -> str:
        """Return all of it as a service answers, `FAULT/TRACKING: the tool is ...`."""
        names = (
            self.code.name if self.fault is Fault.NONE else f"{self.code.name}/{self.fault.name}"
        )
        return f"{names}: {self.text}"


def why_from_text(answer: str) -> Why | None:
    """Return the reason that a service of the control node answered; None if it names none."""
    names, separator, text = answer.partition(": ")
    code, _, fault = names.partition("/")
    if not separator or code not in Reason.__members__:
        return None
    if fault and fault not in Fault.__members__:
        return None
    return Why(Reason[code], text, Fault[fault] if fault else Fault.NONE)


@dataclass(frozen=True)
class ControlStatus:
    """How things stand with the arm, on `control/status`.

    Attributes:
        source: What may move it.
        enabled: Whether it may now.
        reason, reason_text: Why not, and in words; NONE and empty if it may.
        fault, fault_text: What is latched, and in words; NONE and empty if nothing is.
        moving: Whether the commanded joints move.
    """

    schema: ClassVar[int] = 1

    source: Source
    enabled: bool
    reason: Reason
    reason_text: str
    fault: Fault
    fault_text: str
    moving: bool


@dataclass(frozen=True)
class Followed:
    """When the arm began to follow a chunk, on `control/followed`.

    Attributes:
        stamp_ns: The chunk's own stamp, in ROS time.
        begun_ns: When the first target by it was sent to the arm, in ROS time.
    """

    schema: ClassVar[int] = 1

    stamp_ns: int
    begun_ns: int


class StoppedError(DeviceError):
    """The arm does not move, or stopped: says why as a code, too.

    Args:
        text: For people.
        reason: Why motion is not enabled.
        fault: What is latched.
    """

    def __init__(self, text: str, reason: Reason, fault: Fault = Fault.NONE) -> None:
        super().__init__(text)
        self.reason = reason
        self.fault = fault
