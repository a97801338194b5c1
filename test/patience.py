"""Waiting for what a busy machine does late."""

import time
from collections.abc import Callable
from typing import TypeVar

from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, Reason, StoppedError

Result = TypeVar("Result")
LATE_REASONS = {
    Reason.IMAGE_STALE,
    Reason.CHUNKS_ENDED,
    Reason.DEADMAN_SILENT,
    Reason.NO_TAKE_OVER,
}
LATE_FAULTS = {Fault.NOT_READY, Fault.ROBOT_SILENT, Fault.CONTROL_SILENT}


def await_true(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait for a condition; fail with `what` was expected."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


def on_a_busy_machine(action: Callable[[], Result], attempts: int = 4) -> Result:
    """Do what moves the arm; anew if the machine was late with an image, a chunk or a command.

    The stop is as it should be, and has tests of its own.
    """
    for left in reversed(range(attempts)):
        try:
            return action()
        except DeviceError as error:
            if not left or not _was_late(error):
                raise
    raise AssertionError("no attempt succeeded")


def _was_late(error: DeviceError) -> bool:
    """Whether the arm stands because something that it needs came too late."""
    if not isinstance(error, StoppedError):
        return False
    return error.reason in LATE_REASONS or error.fault in LATE_FAULTS
