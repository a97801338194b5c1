"""The control node's console log: every change, once."""

from __future__ import annotations

from collections.abc import Callable

from carp_ros.reports.control import Fault


class ControlLog:
    """Logs faults when they are latched and cleared, and what the node is waiting for.

    Args:
        error: Logs an error: whatever stops the arm.
        info: Logs everything else.
    """

    def __init__(self, error: Callable[[str], object], info: Callable[[str], object]) -> None:
        self._error = error
        self._info = info
        self._fault = Fault.NONE
        self._awaited = ""

    def tell(self, fault: Fault, text: str, awaited: str) -> None:
        """Take the current situation, at every tick; log what changed.

        Args:
            fault: The latched fault.
            text: Its description, with the remedy.
            awaited: What is still missing; empty if nothing is.
        """
        if fault is not self._fault:
            if fault is Fault.NONE:
                self._info(f"fault {self._fault.name} cleared: select and enable to move again")
            else:
                self._error(f"fault {fault.name}, the arm is stopped: {text}")
            self._fault = fault
        if awaited != self._awaited:
            self._info(f"waiting for {awaited}" if awaited else "the arm is connected")
            self._awaited = awaited
