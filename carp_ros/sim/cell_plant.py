"""The simulated cell behind the controller; publishes its state for rendering."""

from __future__ import annotations

from typing import Any

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import Mailbox
from carp_ros.sim.cell import Cell
from carp_ros.sim.plant import CYCLE_S
from carp_ros.sim.sentences import asked_goal, instruction_of
from carp_ros.types import Array


class CellPlant:
    """Arm, gripper and objects with physics.

    Args:
        cell: The simulated cell.
        snapshot: Name of the mailbox for the cell's state; None for none.
    """

    period_s = CYCLE_S

    def __init__(self, cell: Cell, snapshot: str | None) -> None:
        self._cell = cell
        cell.measures_wrench = True
        self._mailbox = Mailbox(snapshot, cell.snapshot_dtype, create=True) if snapshot else None

    @property
    def joints(self) -> Array:
        """Joint positions of shape (J,) in [rad]."""
        return self._cell.joints

    @property
    def velocities(self) -> Array:
        """Joint velocities of shape (J,) in [rad/s]."""
        return self._cell.velocities

    @property
    def gripper_closure(self) -> float:
        """Measured closure of the fingers, 0 open to 1 closed."""
        return self._cell.gripper_closure

    @property
    def wrench(self) -> Array:
        """Contact forces on the tool: see `carp_ros.types.ArmState`."""
        return self._cell.wrench

    def drive(self, joints: Array, gripper: float) -> None:
        """Set the motors' set-points: joints of shape (J,) in [rad], fingers 0 to 1."""
        self._cell.drive(joints, gripper)

    def advance(self) -> None:
        """Step the physics."""
        self._cell.advance()

    def publish(self, wall_ns: int) -> None:
        """Write the state at `wall_ns` (CLOCK_REALTIME) to the mailbox."""
        if self._mailbox is not None:
            self._mailbox.write(self._cell.snapshot(wall_ns))

    def scatter(self, seed: int, level: str, instruction: str = "") -> dict[str, Any]:
        """Start a new episode of the cell's task; the arm does not move.

        Args:
            seed: Of places, colours and what is asked for.
            level: How much they vary.
            instruction: What is asked for instead, in words.

        Returns:
            What is asked for, as `instruction`.

        Raises:
            DeviceError: If there is no such level, or nothing on the table fits the instruction;
                then nothing is changed but what is asked for.
        """
        cell = self._cell
        try:
            cell.scatter(seed, level)
            if instruction:
                cell.ask(asked_goal(cell.staging.goals, instruction))
        except ValueError as error:
            raise DeviceError(str(error)) from error
        return {"instruction": instruction or instruction_of(cell.task, cell.goal, "plain", seed)}

    def judge(self) -> dict[str, Any]:
        """Return the verdict: `success`, and otherwise the `reasons`."""
        verdict = self._cell.judge()
        return {"success": verdict.success, "reasons": list(verdict.reasons)}

    def close(self) -> None:
        """Remove the mailbox."""
        if self._mailbox is not None:
            self._mailbox.unlink()
