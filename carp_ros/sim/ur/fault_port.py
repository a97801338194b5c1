"""The emulated UR controller's port for fault injection."""

from __future__ import annotations

from typing import Any

from carp_ros.sim.fault_port import FaultPort, LinkFaults
from carp_ros.sim.tick_statistics import TickStatistics
from carp_ros.sim.ur.controller import Controller


class FaultConnection(FaultPort):
    """One client of the fault port."""

    def __init__(
        self, controller: Controller, link: LinkFaults, statistics: TickStatistics
    ) -> None:
        self._controller = controller
        special = {
            "protective_stop": controller.protective_stop,
            "emergency_stop": controller.emergency_stop,
            "release_emergency_stop": controller.safety.release_emergency_stop,
            "kill_program": controller.stop_program,
            "remote_control": self._remote_control,
            "speed_slider": self._speed_slider,
        }
        super().__init__(controller, controller.fingers, link, statistics, special, "drop_rtde")

    def special_state(self) -> dict[str, Any]:
        """Return the modes of robot, safety and program."""
        c = self._controller
        return {
            "robot_mode": c.safety.robot_mode.name,
            "safety_mode": c.safety.safety_mode.name,
            "runtime": c.runtime.name,
            "remote_control": c.remote_control,
            "guided": c.guided,
            "servo_time_s": c.registers.input_double[8],
        }

    def _remote_control(self, enabled: bool) -> None:
        self._controller.remote_control = bool(enabled)

    def _speed_slider(self, fraction: float) -> None:
        if not 0.0 <= float(fraction) <= 1.0:
            raise ValueError(f"speed slider is {fraction}; expected 0 to 1")
        self._controller.point.speed_fraction = float(fraction)
