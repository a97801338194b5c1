"""The scripted operator with a virtual SpaceMouse at the running cell."""

from __future__ import annotations

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.pointer_trust import UNTOUCHED_NS
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig import Rig
from carp_ros.rig_pointers import SpaceMouseConfig
from carp_ros.sim.demonstrator import Demonstrator
from carp_ros.sim.live_cell import LiveCell
from carp_ros.sim.tasks import task_named
from carp_ros.sim.virtual_spacemouse import VirtualSpaceMouse
from carp_ros.types import PointerState


class SpaceMouseDemonstrator:
    """A `Pointer` whose deflections pass through the SpaceMouse's own driver.

    The operator's actions become HID reports of a real model, which pass through hidapi's readers,
    pyspacemouse and `SpaceMouse` as they would from the device, whichever pointer the rig has. Use
    it in a process that uses no other HID device.

    Args:
        rig: The simulated rig.
        task: Name of the cell's task.
    """

    def __init__(self, rig: Rig, task: str) -> None:
        self._rig = rig
        self._task = task_named(task)
        self._mouse = VirtualSpaceMouse()
        self._mouse.install()
        self._driver = SpaceMouse(SpaceMouseConfig(), rig.teleop.dead_zone)
        self._operator: Demonstrator | None = None
        self._hands_on_ns: int | None = None

    def open(self) -> None:
        """Connect to the running cell and open the mouse.

        Raises:
            DeviceError: If the cell is not running.
        """
        live = LiveCell(self._rig, self._task, visuals=False)
        self._operator = Demonstrator(live.update, self._rig)
        self._driver.open()
        self._hands_on_ns = None

    def read(self, now_ns: int) -> PointerState:
        """Let the operator move the mouse, and return what its driver reads."""
        if self._hands_on_ns is None:
            self._hands_on_ns = now_ns + 2 * UNTOUCHED_NS  # a driver trusts what it saw at rest
        if self._operator is not None and now_ns < self._hands_on_ns:
            return self._driver.read(now_ns)
        if self._operator is not None:
            try:
                hand = self._operator.read(now_ns)
            except DeviceError:
                self._operator = None  # until `open` finds the cell again
            else:
                self._mouse.move(hand.deflections, hand.buttons)
                return self._driver.read(now_ns)
        return PointerState(np.zeros(6), (), connected=False)

    def describe(self) -> str:
        """Return the mouse's model and device file."""
        return self._driver.describe()

    def close(self) -> None:
        """Close the mouse."""
        self._operator = None
        self._driver.close()
