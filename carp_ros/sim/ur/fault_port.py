"""A port for fault injection, which real controllers lack; requests and answers are JSON lines.

A request is `{"op": name, ...arguments}`; the answer is `{"ok": true, ...}` or `{"ok": false,
"error": reason}`. The client is `faults.FaultClient`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from carp_ros.errors import CarpError
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.statistics import TickStatistics


@dataclass
class LinkFaults:
    """Network faults of the robot's ports; the fault port itself always answers.

    Attributes:
        silent_until_s: Controller time until which no data passes in either direction, while all
            connections stay open.
        drop: Set to make the server close every RTDE connection once.
    """

    silent_until_s: float = 0.0
    drop: bool = False


class FaultConnection:
    """One client of the fault port."""

    def __init__(
        self, controller: Controller, link: LinkFaults, statistics: TickStatistics
    ) -> None:
        self._controller = controller
        self._link = link
        self._statistics = statistics
        self._rest = b""
        c = controller
        self._operations: dict[str, Callable[..., dict[str, Any] | None]] = {
            "protective_stop": c.protective_stop,
            "emergency_stop": c.emergency_stop,
            "release_emergency_stop": c.safety.release_emergency_stop,
            "kill_program": c.stop_program,
            "remote_control": self._remote_control,
            "drop_rtde": self._drop_rtde,
            "silence": self._silence,
            "speed_slider": self._speed_slider,
            "block_arm": self._block_arm,
            "release_arm": self._release_arm,
            "block_gripper": self._block_gripper,
            "release_gripper": self._release_gripper,
            "restore": self._restore,
            "scatter": c.plant.scatter,
            "judge": c.plant.judge,
            "state": self._state,
            "reset_statistics": self._reset_statistics,
        }

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return one line for every complete line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(json.dumps(self._answer(line)).encode() + b"\n" for line in lines)

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            arguments = json.loads(line)
            if not isinstance(arguments, dict):
                raise ValueError(f"request is {arguments!r}; expected an object with op")
            operation = self._operations[arguments.pop("op", None)]
            return {"ok": True, **(operation(**arguments) or {})}
        except KeyError as error:
            return {"ok": False, "error": f"no op {error}; known: {', '.join(self._operations)}"}
        except (ValueError, TypeError, CarpError) as error:
            return {"ok": False, "error": str(error)}

    def _restore(self) -> None:
        self._link.silent_until_s = 0.0
        self._controller.restore()

    def _remote_control(self, enabled: bool) -> None:
        self._controller.remote_control = bool(enabled)

    def _drop_rtde(self) -> None:
        self._link.drop = True

    def _silence(self, s: float) -> None:
        self._link.silent_until_s = self._controller.time_s + float(s)

    def _speed_slider(self, fraction: float) -> None:
        if not 0.0 <= float(fraction) <= 1.0:
            raise ValueError(f"speed slider is {fraction}; expected 0 to 1")
        self._controller.point.speed_fraction = float(fraction)

    def _block_arm(self) -> None:
        self._controller.blocked_at = self._controller.plant.joints.copy()

    def _release_arm(self) -> None:
        self._controller.blocked_at = None

    def _block_gripper(self, closure: float) -> None:
        self._controller.fingers.blocked_at = float(closure)

    def _release_gripper(self) -> None:
        self._controller.fingers.blocked_at = None

    def _reset_statistics(self) -> None:
        self._statistics.reset()
        self._controller.fastest_rad_s = 0.0

    def _state(self) -> dict[str, Any]:
        c = self._controller
        return {
            "time_s": c.time_s,
            "joints": c.plant.joints.tolist(),
            "velocities": c.plant.velocities.tolist(),
            "gripper_closure": float(c.plant.gripper_closure),
            "robot_mode": c.safety.robot_mode.name,
            "safety_mode": c.safety.safety_mode.name,
            "runtime": c.runtime.name,
            "remote_control": c.remote_control,
            "fastest_rad_s": c.fastest_rad_s,
            "servo_time_s": c.registers.input_double[8],
            "statistics": self._statistics.summary(),
        }
