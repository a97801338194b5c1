"""The running cell as seen from another process, through its controller's snapshots."""

from __future__ import annotations

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import Mailbox, require_record
from carp_ros.rig import Rig
from carp_ros.sim.cell import Cell
from carp_ros.sim.controllers import snapshot_name
from carp_ros.sim.task import Task


class LiveCell:
    """A copy of the running cell.

    Args:
        rig: The simulated rig.
        task: Determines the objects on the table.
        visuals: Whether it will be rendered.

    Raises:
        DeviceError: If no controller is running, or one with another task.
    """

    def __init__(self, rig: Rig, task: Task, *, visuals: bool) -> None:
        require_record(snapshot_name(rig))  # before the model is built, which takes seconds
        self.cell = Cell(rig, task, visuals=visuals)
        self._mailbox = Mailbox(snapshot_name(rig), self.cell.snapshot_dtype, create=False)
        self._seen = 0
        self.wall_ns = 0
        self.update()

    def update(self) -> Cell:
        """Restore the newest snapshot and return the cell; sets `wall_ns` to the snapshot's time.

        Raises:
            DeviceError: If there is no snapshot yet, or the controller is gone or was restarted.
        """
        count = self._mailbox.count
        if count == self._seen and self._mailbox.orphaned:
            raise DeviceError("the controller of this cell is gone; look at the new one")
        if count != self._seen:
            record = self._mailbox.read()
            if record is None:
                raise DeviceError("the controller has no state yet; wait until it says READY")
            self._seen = count
            self.wall_ns = int(record["wall_ns"])
            self.cell.restore(np.asarray(record))
        return self.cell
