"""A port for fault injection, which real controllers lack: what every emulated controller offers.

Requests and answers are those of `operation_lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from carp_ros.sim.operation_lines import OperationLines, Operations, push_of
from carp_ros.sim.plant import Plant
from carp_ros.sim.tick_statistics import TickStatistics
from carp_ros.types import Array


@dataclass
class LinkFaults:
    """Network faults of the robot's ports; the fault port itself always answers.

    Attributes:
        silent_until_s: Controller time until which no data passes in either direction, while all
            connections stay open.
        drop: Set to make the server close every connection that moves the robot, once.
    """

    silent_until_s: float = 0.0
    drop: bool = False


class Blockable(Protocol):
    """A gripper whose fingers something can block, beyond a closure of 0 to 1; None frees them."""

    blocked_at: float | None


class Controller(Protocol):
    """What the operations of every controller need of it.

    Attributes:
        plant: The arm's physics.
        time_s: Controller time.
        blocked_at: Where the arm is held, of shape (J,) in [rad]; None if it is free.
        push: How a hand pushes the flange: force [N] and torque [Nm] in base axes, of shape (6,).
        fastest_rad_s: The largest joint speed since it was last set to 0.
    """

    plant: Plant
    blocked_at: Array | None
    push: Array
    fastest_rad_s: float

    @property
    def time_s(self) -> float:
        """Controller time."""
        ...

    def restore(self) -> None:
        """Undo every fault."""
        ...


class FaultPort(OperationLines):
    """One client of the fault port.

    Args:
        controller: The emulated controller.
        gripper: Its gripper.
        link: Where to set what the server does to its connections.
        statistics: Of the controller's cycles.
        special: What only this controller can do, by name.
        drop: Name of the operation that drops the link.
    """

    def __init__(
        self,
        controller: Controller,
        gripper: Blockable,
        link: LinkFaults,
        statistics: TickStatistics,
        special: Operations,
        drop: str,
    ) -> None:
        self._arm, self._gripper = controller, gripper
        self._link, self._statistics = link, statistics
        super().__init__(
            {
                **special,
                drop: self._drop_link,
                "silence": self._silence,
                "block_arm": self._block_arm,
                "release_arm": self._release_arm,
                "push": self._push,
                "block_gripper": self._block_gripper,
                "release_gripper": self._release_gripper,
                "restore": self._restore,
                "scatter": controller.plant.scatter,
                "judge": controller.plant.judge,
                "state": self._state,
                "reset_statistics": self._reset_statistics,
            }
        )

    def special_state(self) -> dict[str, Any]:
        """Return what only this controller has to tell of its state."""
        return {}

    def _drop_link(self) -> None:
        self._link.drop = True

    def _silence(self, s: float) -> None:
        self._link.silent_until_s = self._arm.time_s + float(s)

    def _block_arm(self) -> None:
        self._arm.blocked_at = self._arm.plant.joints.copy()

    def _release_arm(self) -> None:
        self._arm.blocked_at = None

    def _push(self, wrench: list[float]) -> None:
        self._arm.push = push_of(wrench)

    def _block_gripper(self, closure: float) -> None:
        self._gripper.blocked_at = float(closure)

    def _release_gripper(self) -> None:
        self._gripper.blocked_at = None

    def _restore(self) -> None:
        self._link.silent_until_s = 0.0
        self._arm.restore()

    def _reset_statistics(self) -> None:
        self._statistics.reset()
        self._arm.fastest_rad_s = 0.0

    def _state(self) -> dict[str, Any]:
        plant = self._arm.plant
        return {
            "time_s": self._arm.time_s,
            "joints": plant.joints.tolist(),
            "velocities": plant.velocities.tolist(),
            "gripper_closure": float(plant.gripper_closure),
            "fastest_rad_s": self._arm.fastest_rad_s,
            "statistics": self._statistics.summary(),
            **self.special_state(),
        }
