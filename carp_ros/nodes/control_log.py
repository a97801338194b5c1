"""What the control node says on its console: each change once, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable

from carp_ros.reports.control import Fault


class ControlLog:
    """Tells faults as they come and go, and what is waited for.

    Args:
        error: Takes what stops the arm.
        info: Takes what is as it should be, or will be soon.
    """

    def __init__(self, error: Callable[[str], object], info: Callable[[str], object]) -> None:
        self._error = error
        self._info = info
        self._fault = Fault.NONE
        self._awaited = ""

    def tell(self, fault: Fault, text: str, awaited: str) -> None:
        """Take how things stand now, as often as they are looked at.

        Args:
            fault: What is latched.
            text: It in words, with the remedy.
            awaited: What is not there yet; empty if all is.
        """
        if fault is not self._fault:
            if fault is Fault.NONE:
                self._info(f"fault {self._fault.name} cleared: select and enable to move again")
            else:
                self._error(f"fault {fault.name}, the arm stands: {text}")
            self._fault = fault
        if awaited != self._awaited:
            self._info(f"waiting for {awaited}" if awaited else "the arm is connected")
            self._awaited = awaited
