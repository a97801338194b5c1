"""Client for a UR controller's Dashboard Server, which offers what the pendant shows and does."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from dashboard_client import DashboardClient

from carp_ros.errors import DeviceError
from carp_ros.hardware.ur_ports import DASHBOARD, closed_port

_OPERATIONAL = ("NORMAL", "REDUCED")
_UNLOCK_TIMEOUT_S = 2.0
_POWER_TIMEOUT_S = 30.0
LONGEST_S = _UNLOCK_TIMEOUT_S + 2 * _POWER_TIMEOUT_S
"""Longest time that clearing a stop and powering up take together."""


class Dashboard:
    """A short connection to the dashboard of the controller at `host`, as a context manager.

    Raises:
        DeviceError: On entry, if nothing answers; in the body, if the controller refuses a command.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._client = DashboardClient(host)

    def __enter__(self) -> Dashboard:
        try:
            self._client.connect()
        except RuntimeError as error:
            # ur-rtde reports a timeout whatever the cause
            why = closed_port(self._host, (DASHBOARD,)) or str(error)
            raise DeviceError(f"dashboard of the arm: {why}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        if isinstance(error, RuntimeError):  # what ur-rtde raises for a refusal and a lost link
            raise DeviceError(f"dashboard of the arm at {self._host}: {error}") from error

    @property
    def polyscope_version(self) -> tuple[int, ...]:
        """The controller's software version, as (5, 12, 4, 1101661); raises if it tells none."""
        answer = self._client.polyscopeVersion()
        parts = answer.split(".")
        if len(parts) < 2 or not all(part.isdecimal() for part in parts):
            raise DeviceError(
                f"the arm at {self._host} calls its software {answer[:60]!r}; expected a version"
            )
        return tuple(int(part) for part in parts)

    def require_remote_control(self) -> None:
        """Raise if the controller is in local control."""
        if not self._client.isInRemoteControl():
            raise DeviceError(
                f"the arm at {self._host} is in local control; switch its pendant to remote control"
            )

    def require_operational(self) -> None:
        """Raise if the arm is stopped, not powered or braked."""
        if self._safety not in _OPERATIONAL:
            raise DeviceError(
                f"the arm at {self._host} is in {self._safety}; clear the cause at its pendant"
            )
        if self._mode != "RUNNING":
            raise DeviceError(
                f"the arm at {self._host} is in {self._mode}; power it on and release its brakes"
                " at its pendant"
            )

    def clear_safety(self) -> None:
        """Unlock a protective stop; raise on a stop that only a person can clear."""
        self._client.closeSafetyPopup()
        safety = self._safety
        if safety == "PROTECTIVE_STOP":
            self._client.unlockProtectiveStop()
        elif safety not in _OPERATIONAL:
            raise DeviceError(
                f"the arm at {self._host} is in {safety}; release the emergency stop or restart"
                " the safety system at its pendant, then reset the fault"
            )
        wait_for(
            lambda: self._safety in _OPERATIONAL,
            _UNLOCK_TIMEOUT_S,
            "its protective stop did not end",
        )

    def power_up(self) -> None:
        """Power the arm and release its brakes, as far as needed."""
        if self._mode == "RUNNING":
            return
        if self._mode != "IDLE":
            self._client.powerOn()
        wait_for(lambda: self._mode == "IDLE", _POWER_TIMEOUT_S, "it has no power")
        self._client.brakeRelease()
        wait_for(lambda: self._mode == "RUNNING", _POWER_TIMEOUT_S, "its brakes did not open")

    @property
    def _safety(self) -> str:
        return _value(self._client.safetystatus())

    @property
    def _mode(self) -> str:
        return _value(self._client.robotmode())


def wait_for(condition: Callable[[], bool], timeout_s: float, failure: str) -> None:
    """Wait until `condition` holds.

    Raises:
        DeviceError: If it does not hold within `timeout_s`; the text contains `failure`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise DeviceError(f"the arm did not recover: {failure} within {timeout_s:g} s")
        time.sleep(0.01)


def _value(answer: str) -> str:
    """Return the text after the colon of a dashboard answer such as `Robotmode: RUNNING`."""
    return answer.rpartition(":")[2].strip()
