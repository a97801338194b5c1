"""The emulated FCI's port for fault injection."""

from __future__ import annotations

from typing import Any

from carp_ros.sim.fault_port import FaultPort, LinkFaults
from carp_ros.sim.franka.controller import FrankaController
from carp_ros.sim.tick_statistics import TickStatistics


class FciFaultConnection(FaultPort):
    """One client of the fault port."""

    def __init__(
        self, controller: FrankaController, link: LinkFaults, statistics: TickStatistics
    ) -> None:
        self._controller = controller
        special = {
            "protective_stop": controller.reflex,
            "emergency_stop": controller.user_stop,
            "release_emergency_stop": controller.release_user_stop,
            "lose_commands": self._lose_commands,
        }
        super().__init__(controller, controller.hand, link, statistics, special, "drop_link")

    def special_state(self) -> dict[str, Any]:
        """Return the hand's width, and the robot's mode and errors."""
        c = self._controller
        return {
            "width_m": c.hand.width_m,
            "robot_mode": c.mode.name,
            "moving": c.moving,
            "errors": list(c.errors),
            "last_errors": list(c.last_errors),
        }

    def _lose_commands(self, s: float) -> None:
        self._controller.deaf_until_s = self._controller.time_s + float(s)
