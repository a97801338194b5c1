"""Drives the gripper on a separate thread, because its responses take milliseconds."""

from __future__ import annotations

import threading

from carp_ros.errors import DeviceError
from carp_ros.hardware.gripper import Gripper
from carp_ros.refusal import in_words
from carp_ros.types import GripperState

_PERIOD_S = 0.02
_SMALLEST_CHANGE = 0.004  # one count of 0 to 255


class GripperFollower:
    """Sends the newest wanted closure to the gripper and keeps its newest state.

    The fingers do not move until the wanted closure changes for the first time, so an object held
    when the system starts stays held.

    Args:
        gripper: The driver; used only by this class's thread.
        retry_s: How long to wait before reconnecting.
    """

    def __init__(self, gripper: Gripper, retry_s: float = 1.0) -> None:
        self._gripper = gripper
        self._retry_s = retry_s
        self._wanted: float | None = None
        self._sent: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gripper", daemon=True)
        self.state: GripperState | None = None
        self.problem = "not connected yet"

    def start(self) -> None:
        """Start the thread, which connects and follows the wanted closure."""
        self._thread.start()

    def want(self, closure: float) -> None:
        """Set the wanted closure, 0 open to 1 closed."""
        if self._wanted is None:
            self._sent = closure
        self._wanted = closure

    def stop(self) -> None:
        """Leave the fingers as they are and close the link."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        connected = False
        while not self._stopping.is_set():
            try:
                if not connected:
                    self._gripper.connect()
                    connected = True
                self._follow()
                self.problem = ""
            except DeviceError as error:
                connected = False
                self._fail(str(error))
            except Exception as error:  # otherwise the thread would end unnoticed
                connected = False
                self._fail(f"the gripper's driver failed: {in_words(error)}; this is a bug")
            self._stopping.wait(_PERIOD_S)
        self._gripper.close()

    def _fail(self, problem: str) -> None:
        self.problem, self.state = problem, None
        self._stopping.wait(self._retry_s)

    def _follow(self) -> None:
        wanted, sent = self._wanted, self._sent
        if wanted is not None and sent is not None and abs(wanted - sent) > _SMALLEST_CHANGE:
            self._gripper.move(wanted)
            self._sent = wanted
        self.state = self._gripper.read()
