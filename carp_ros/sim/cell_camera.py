"""The cameras of the running cell, as drivers of the camera node.

They are drawn from snapshots of the physics that the emulated controller runs, with one OpenGL
context for all of them. Cameras that are read in turns show the same moment, with the same stamp.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from carp_ros.control.realtime import Metronome
from carp_ros.hardware.camera import Frame
from carp_ros.rig import Rig
from carp_ros.sim.cameras import Cameras, Image
from carp_ros.sim.live_cell import LiveCell
from carp_ros.sim.tasks import Task
from carp_ros.types import Intrinsics


class CellCamera:
    """One camera of the cell.

    Args:
        view: What all cameras of the cell look at.
        name: As in the rig's file.
    """

    def __init__(self, view: CellView, name: str) -> None:
        self._view = view
        self._name = name
        self._sequence = 0

    def open(self) -> None:
        """Look at the running cell.

        Raises:
            DeviceError: If none runs.
            ValueError: If this machine can not draw.
        """
        self._view.open()
        self._sequence = self._view.number

    @property
    def info(self) -> Intrinsics:
        """How it projects."""
        return self._view.intrinsics(self._name)

    def read(self, timeout_s: float) -> Frame | None:
        """Draw the next moment; None if the physics stood still for so long.

        Raises:
            DeviceError: If the controller that runs the cell is gone.
        """
        number = self._view.moment_after(self._sequence, timeout_s)
        if number is None:
            return None
        self._sequence = number
        return Frame(self._view.stamp_ns, self._view.draw(self._name), number)

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._view.close()


class CellView:
    """What the cameras of one running cell share: its state, its pace and the OpenGL context.

    Args:
        rig: The rig that is simulated.
        task: What lies on its table.
        still: Whether to show what each camera saw first, again and again: costs no time.

    Attributes:
        number: Of the present moment; rises by one from moment to moment.
        stamp_ns: When that was, in ROS time.
    """

    def __init__(self, rig: Rig, task: Task, *, still: bool = False) -> None:
        self._rig = rig
        self._task = task
        self._stills: dict[str, Image] | None = {} if still else None
        self._live: LiveCell | None = None
        self._cameras: Cameras | None = None
        self._pace: Iterator[int] = iter(())
        self.number = 0
        self._shown_ns = 0
        self.stamp_ns = 0

    def camera(self, name: str) -> CellCamera:
        """Return the driver of one camera."""
        return CellCamera(self, name)

    def open(self) -> None:
        """Look at the running cell, unless that is done already.

        Raises:
            DeviceError: If none runs.
            ValueError: If this machine can not draw.
        """
        if self._live is not None:
            return
        live = LiveCell(self._rig, self._task, visuals=True)
        self._cameras = Cameras(live.cell)
        self._pace = iter(Metronome(1.0 / self._cameras.rate_hz))
        self._live = live

    def close(self) -> None:
        """Give the OpenGL context back, unless that is done already."""
        if self._cameras is not None:
            self._cameras.close()
        self._live = self._cameras = None

    def moment_after(self, number: int, timeout_s: float) -> int | None:
        """Return the number of the present moment if it is a later one; else wait for the next.

        Args:
            number: Of the moment that was seen last.
            timeout_s: Of the wait; None is returned when it is over.

        Raises:
            DeviceError: If the controller that runs the cell is gone.
        """
        assert self._live is not None, "open it first"
        deadline_s = time.monotonic() + timeout_s
        while self.number <= number:
            if time.monotonic() >= deadline_s:
                return None
            next(self._pace)
            cell = self._live.update()
            if cell.time_ns != self._shown_ns:
                self._shown_ns, self.stamp_ns = cell.time_ns, self._live.wall_ns
                self.number += 1
        return self.number

    def draw(self, name: str) -> Image:
        """Return what a camera sees at the present moment: RGB of shape (height, width, 3)."""
        assert self._cameras is not None, "open it first"
        if self._stills is None:
            return self._cameras.render(name)
        if name not in self._stills:
            self._stills[name] = self._cameras.render(name)
        return self._stills[name]

    def intrinsics(self, name: str) -> Intrinsics:
        """Return how a camera projects."""
        assert self._cameras is not None, "open it first"
        return self._cameras.intrinsics(name)
