"""Waiting for what a busy machine does late."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from carp_ros.errors import DeviceError

Result = TypeVar("Result")
_TOO_LATE = re.compile(
    r"newest image of \w+ is [\d.]+ s old|last chunk ended and no other came"
    r"|our commands came too late|no new robot state|no heartbeat of the control node"
    r"|no dead-man heartbeat"
)


def await_true(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait for a condition; fail with `what` was expected."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


def on_a_busy_machine(action: Callable[[], Result], beginnings: int = 4) -> Result:
    """Do what moves the arm; anew if the machine was late with an image, a chunk or a command.

    The stop is as it should be, and has tests of its own.
    """
    for left in reversed(range(beginnings)):
        try:
            return action()
        except DeviceError as error:
            if not left or not _TOO_LATE.search(str(error)):
                raise
    raise AssertionError("no beginning")
