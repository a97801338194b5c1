"""A Robotiq 2F gripper, through the socket that its URCap opens on the UR controller.

Source: Robotiq, "2F-85 & 2F-140 Instruction Manual", registers. One request per line: `GET VAR` is
answered by `VAR value` and a newline, `SET VAR value ...` by `ack` without a newline.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from carp_ros.errors import DeviceError
from carp_ros.rig_devices import RobotiqConfig
from carp_ros.types import GripperState

_TIMEOUT_S = 1.0
_ACTIVATION_TIMEOUT_S = 8.0
_POLL_S = 0.02
_MOST_ANSWER = 1024
_ACTIVE = 3  # STA
_STOPPED_BY_OBJECT = (1, 2)  # OBJ while opening, while closing
_FIRST_FAULT = 5  # FLT; lower values are no faults


class RobotiqGripper:
    """One gripper; only one thread at a time may call it.

    After a failed call, the next one reopens the socket.

    Args:
        config: The rig's `gripper` section.
        open_counts, closed_counts: Finger position, 0 to 255, when fully open and fully closed;
            they differ slightly from gripper to gripper.
    """

    def __init__(
        self, config: RobotiqConfig, *, open_counts: int = 3, closed_counts: int = 230
    ) -> None:
        self._config = config
        self._open_counts = open_counts
        self._span = closed_counts - open_counts
        self._socket: socket.socket | None = None
        self._requested_counts: int | None = None

    def connect(self) -> None:
        """Open the socket and activate the gripper if needed, which moves its fingers.

        Raises:
            DeviceError: If nothing answers or activation fails.
        """
        if self._get("STA") == _ACTIVE:
            return
        self._set(ACT=0)
        self._await("STA", 0)
        self._set(ACT=1)
        self._await("STA", _ACTIVE)

    def move(self, closure: float) -> None:
        """Start moving to `closure`, 0 open to 1 closed, and return at once.

        Raises:
            DeviceError: If the link is gone or the gripper reports a fault.
        """
        counts = self._open_counts + round(self._span * min(max(closure, 0.0), 1.0))
        speed, force = (round(255 * x) for x in (self._config.speed, self._config.force))
        self._set(POS=counts, SPE=speed, FOR=force, GTO=1)
        self._requested_counts = counts

    def read(self) -> GripperState:
        """Return the newest state.

        Raises:
            DeviceError: If the link is gone or the gripper reports a fault.
        """
        fault, echo, stop, counts = self._get_all("FLT", "PRE", "OBJ", "POS")
        if fault >= _FIRST_FAULT:
            raise DeviceError(f"gripper fault {fault}; see its manual, then connect again")
        # OBJ refers to the request echoed in PRE, not to a later one that has not arrived yet.
        current = self._requested_counts in (None, echo)
        closure = min(max((counts - self._open_counts) / self._span, 0.0), 1.0)
        return GripperState(closure, current and stop in _STOPPED_BY_OBJECT)

    def close(self) -> None:
        """Close the socket; the fingers stay as they are."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _await(self, name: str, value: int) -> None:
        deadline_s = time.monotonic() + _ACTIVATION_TIMEOUT_S
        while self._get(name) != value:
            if time.monotonic() > deadline_s:
                raise DeviceError(
                    f"gripper activation: {name} did not become {value} within"
                    f" {_ACTIVATION_TIMEOUT_S:g} s; check its power and its wiring"
                )
            time.sleep(_POLL_S)

    def _get(self, name: str) -> int:
        return self._get_all(name)[0]

    def _get_all(self, *names: str) -> list[int]:
        """Read several variables in one exchange; the answers come one per line, in that order."""
        request = "".join(f"GET {name}\n" for name in names).encode()
        lines = self._exchange(request, lambda answer: answer.count(b"\n") >= len(names))
        values = []
        for name, line in zip(names, lines.decode(errors="replace").splitlines()):
            found, _, value = line.partition(" ")
            if found != name or not (value.isascii() and value.isdecimal() and len(value) < 4):
                raise DeviceError(
                    f"gripper answered {line!r} to GET {name}; expected a number: the arm may have"
                    " no power"
                )
            values.append(int(value))
        return values

    def _set(self, **values: int) -> None:
        words = " ".join(f"{name} {value}" for name, value in values.items())
        answer = self._exchange(
            f"SET {words}\n".encode(), lambda answer: answer.endswith((b"ack", b"\n"))
        )
        if answer != b"ack":
            raise DeviceError(f"gripper answered {answer!r} to SET {words}; expected b'ack'")

    def _exchange(self, request: bytes, complete: Callable[[bytes], bool]) -> bytes:
        """Send a request and return its answer; on failure, close the socket."""
        try:
            if self._socket is None:
                address = (self._config.host, self._config.port)
                self._socket = socket.create_connection(address, _TIMEOUT_S)
            self._socket.sendall(request)
            answer = b""
            while not complete(answer):
                received = self._socket.recv(1024)
                if not received:
                    raise ConnectionResetError("connection closed by the gripper's side")
                answer += received
                if len(answer) > _MOST_ANSWER:
                    raise ConnectionError(f"{len(answer)} bytes; expected a gripper's short answer")
            return answer
        except OSError as error:
            self.close()
            raise DeviceError(
                f"gripper at {self._config.host}:{self._config.port} does not answer ({error});"
                " check that its URCap runs on the controller"
            ) from error
