"""The report of `carp check`: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar


class Verdict(Enum):
    """The result of one check."""

    GREEN = auto()
    """As expected."""
    RED = auto()
    """Not as expected; the line says what to do."""
    UNKNOWN = auto()
    """It could not be found out; the line says why."""


class CheckCode(Enum):
    """What a check found."""

    OK = auto()
    NOT_MET = auto()
    """Something without a code of its own is not as expected."""

    UNREADABLE = auto()
    """This system does not tell."""
    NOT_PERMITTED = auto()
    """This user may not find out."""
    NOT_APPLICABLE = auto()
    """There is nothing to measure, as with a camera that is a file."""
    FAILED = auto()
    """The check itself failed."""

    PYTHON_VERSION = auto()
    FEW_CORES = auto()
    OTHER_CHECKOUT = auto()
    NO_ROS = auto()
    DDS_SETTINGS = auto()
    SECOND_ROS = auto()
    SETTINGS = auto()
    SHARED_MEMORY_SMALL = auto()
    FOLDERS_FULL = auto()
    BUNDLE_DAMAGED = auto()
    NO_RENDERING = auto()
    SLOW_RUNTIME = auto()
    DISK_FULL = auto()
    FOLDER_UNUSABLE = auto()
    """It can't be written, or is no folder."""
    CLOCK_NOT_SYNCHRONISED = auto()
    NO_POINTER = auto()
    KERNEL_NOT_REALTIME = auto()
    NO_REALTIME_PRIORITY = auto()
    RTPRIO_LOW = auto()
    MEMLOCK_LOW = auto()
    GOVERNOR_SAVES_POWER = auto()
    INOTIFY_LOW = auto()
    ARM_UNREACHABLE = auto()
    PORT_CLOSED = auto()
    NETWORK_SLOW = auto()
    NETWORK_LOSSY = auto()
    CAMERA_ABSENT = auto()
    CAMERA_NOT_READY = auto()
    """A camera does not open, is slow, or its images are bad."""
    USB_SLOW = auto()
    USB_BUS_FULL = auto()
    NOT_CALIBRATED = auto()
    CALIBRATION_UNUSABLE = auto()
    NO_GPU = auto()
    ENGINE_ABSENT = auto()
    ENGINE_UNFIT = auto()
    BUNDLE_UNFIT = auto()

    @property
    def verdict(self) -> Verdict:
        """The verdict that this code means."""
        if self is CheckCode.OK:
            return Verdict.GREEN
        return Verdict.UNKNOWN if self in _UNKNOWN else Verdict.RED


_UNKNOWN = frozenset(
    {
        CheckCode.UNREADABLE,
        CheckCode.NOT_PERMITTED,
        CheckCode.NOT_APPLICABLE,
        CheckCode.FAILED,
    }
)


@dataclass(frozen=True)
class CheckLine:
    """One line of the report.

    Attributes:
        name: What was looked at.
        verdict: Follows from `code`.
        code: What was found.
        value: The same in words, with figures.
        expected: What is expected; may be empty if the value is as expected.
        remedy: What to do; empty if nothing.
        needed_for: What alone needs it; empty if the rig does not run without it.
    """

    name: str
    verdict: Verdict
    code: CheckCode
    value: str
    expected: str = ""
    remedy: str = ""
    needed_for: str = ""

    @property
    def stops_the_rig(self) -> bool:
        """Whether the rig may not run because of this; a check that failed shows nothing good."""
        wrong = self.verdict is Verdict.RED or self.code is CheckCode.FAILED
        return wrong and not self.needed_for


@dataclass(frozen=True)
class CheckReport:
    """All lines of one run.

    Attributes:
        rig: Name of the rig; empty if the machine alone was looked at.
        rig_sha256: Hash of its file's content.
        date: When, as in ISO 8601.
        version: Version of this package.
        lines: In the order in which they were looked at.
    """

    schema: ClassVar[int] = 1

    rig: str
    rig_sha256: str
    date: str
    version: str
    lines: tuple[CheckLine, ...]

    @property
    def stopping(self) -> Sequence[CheckLine]:
        """The lines because of which the rig does not run."""
        return [line for line in self.lines if line.stops_the_rig]
