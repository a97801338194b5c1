"""Reports of the control node: what may move the arm, why it is stopped, which chunks began."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import ClassVar

from carp_ros.errors import DeviceError


class Source(Enum):
    """A source that may move the arm; the values are the names in services and diagnostics."""

    HOLD = "hold"
    TELEOP = "teleop"
    POLICY = "policy"
    HOME = "home"
    HAND = "hand"


class Fault(IntEnum):
    """A fault, which keeps the arm stopped until an operator resets it."""

    NONE = 0
    ROBOT_SILENT = 1
    SAFETY_STOP = 2
    NOT_READY = 3
    TRACKING = 4
    CONTROL_SILENT = 5
    REFUSED = 6
    SERVO_LOST = 7  # latched in the control node, which watches the servo process
    NO_SERVO = 8  # reported but never latched: no servo process is connected to the arm yet
    CONTACT = 9


class Reason(Enum):
    """Why motion is not enabled, or why an enable was refused."""

    NONE = auto()
    """Motion is enabled."""
    NOT_ENABLED = auto()
    """Nobody has enabled motion since the start."""
    SELECTED = auto()
    """A source was selected but not enabled yet."""
    STOPPED = auto()
    """An operator stopped motion."""
    FAULT = auto()
    """A fault is latched; `Fault` says which."""
    FAULT_RESET = auto()
    """A fault was reset, and motion not enabled since."""
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
    """The arm has reached home."""
    DEADMAN_SILENT = auto()
    """The operator's dead-man heartbeat stopped during teleoperation."""
    NO_TAKE_OVER = auto()
    """No dead-man heartbeat: no operator could take over from the policy."""
    IMAGE_MISSING = auto()
    """A camera that the policy uses has sent no image yet."""
    IMAGE_STALE = auto()
    """The newest image of such a camera is too old."""
    NO_CHUNK = auto()
    """No chunk arrived after the enable."""
    CHUNKS_ENDED = auto()
    """The last chunk ended and no new one arrived."""
    CHUNKS_REFUSED = auto()
    """Too many chunks in a row were refused."""
    SECOND_PUBLISHER = auto()
    """A topic that must have one publisher has two."""
    PROCESS_DIED = auto()
    """Another process of the system died."""


@dataclass(frozen=True)
class Why:
    """Why motion is not enabled: a code, a text with the remedy, and the fault if there is one."""

    code: Reason
    text: str
    fault: Fault = Fault.NONE

    def __str__(self) -> str:
        """Return it in the form of a service's answer: `FAULT/TRACKING: the tool is ...`."""
        names = (
            self.code.name if self.fault is Fault.NONE else f"{self.code.name}/{self.fault.name}"
        )
        return f"{names}: {self.text}"


def why_from_text(answer: str) -> Why | None:
    """Return the reason in a control service's answer; None if it contains none."""
    names, separator, text = answer.partition(": ")
    code, _, fault = names.partition("/")
    if not separator or code not in Reason.__members__:
        return None
    if fault and fault not in Fault.__members__:
        return None
    return Why(Reason[code], text, Fault[fault] if fault else Fault.NONE)


@dataclass(frozen=True)
class ControlStatus:
    """The state of arm control, on `control/status`.

    Attributes:
        source: The selected source of motion.
        enabled: Whether it may move the arm now.
        reason, reason_text: Why not, as a code and in words; NONE and empty if it may.
        fault, fault_text: The latched fault and its description; NONE and empty if there is none.
        moving: Whether the commanded joints are moving.
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
class ChunkStart:
    """When the arm began to follow a chunk, on `control/followed`.

    Attributes:
        stamp_ns: The chunk's own stamp, in ROS time.
        begun_ns: When its first target was sent to the arm, in ROS time.
        late_ns: How much later than their own times its steps are due, because the arm stood still
            until it came, or is slow.
    """

    schema: ClassVar[int] = 2

    stamp_ns: int
    begun_ns: int
    late_ns: int


class StoppedError(DeviceError):
    """The arm stopped or may not move; carries the reason as a code.

    Args:
        text: Error text.
        reason: Why motion is not enabled.
        fault: The latched fault.
    """

    def __init__(self, text: str, reason: Reason, fault: Fault = Fault.NONE) -> None:
        super().__init__(text)
        self.reason = reason
        self.fault = fault
