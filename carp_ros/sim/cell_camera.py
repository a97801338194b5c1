"""The cameras of the running cell, as drivers of the camera node.

They are rendered from snapshots of the emulated controller's physics, with one OpenGL context for
all of them. Cameras that are read in turns show the same moment, with the same stamp.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from carp_ros.control.realtime import Metronome
from carp_ros.hardware.camera import CameraFrame
from carp_ros.processes.cores import leave_realtime_core
from carp_ros.rig import Rig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.drawing_pace import DrawingPace
from carp_ros.sim.live_cell import LiveCell
from carp_ros.sim.task import Task
from carp_ros.types import Intrinsics


class CellCamera:
    """One camera of the cell.

    Args:
        view: Shared by all cameras of the cell.
        name: As in the rig's file.
    """

    def __init__(self, view: CellView, name: str) -> None:
        self._view = view
        self._name = name
        self._sequence = 0

    def open(self) -> None:
        """Connect to the running cell.

        Raises:
            DeviceError: If none is running.
            ValueError: If this machine can't render.
        """
        self._view.open()
        self._sequence = self._view.number

    @property
    def info(self) -> Intrinsics:
        """The intrinsics."""
        return self._view.cameras.intrinsics(self._name)

    @property
    def serial_number(self) -> str:
        """Nothing."""
        return ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """How far the renderer stays behind the wanted rate."""
        return self._view.remarks

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Render the next moment; None if the physics does not advance within the timeout.

        Raises:
            DeviceError: If the controller that runs the cell is gone.
        """
        number = self._view.moment_after(self._sequence, timeout_s)
        if number is None:
            return None
        self._sequence = number
        return CameraFrame(self._view.stamp_ns, self._view.cameras.render(self._name), number)

    def close(self) -> None:
        """Release the OpenGL context."""
        self._view.close()


class CellView:
    """State shared by the cameras of a running cell: snapshot, pace and OpenGL context.

    Args:
        rig: The simulated rig.
        task: Determines the objects on the table.
        still: Whether to repeat each camera's first image, which costs no rendering time.

    Attributes:
        number: Number of the current moment, counting up.
        stamp_ns: ROS time of the current moment.
    """

    def __init__(self, rig: Rig, task: Task, *, still: bool = False) -> None:
        self._rig = rig
        self._task = task
        self._still = still
        self._live: LiveCell | None = None
        self._cameras: Cameras | None = None
        self._pace = DrawingPace(1.0)
        self._ticks: Iterator[int] = iter(())
        self._drawing_since_s: float | None = None
        self.number = 0
        self._shown_ns = 0
        self.stamp_ns = 0

    def camera(self, name: str) -> CellCamera:
        """Return the driver of one camera."""
        return CellCamera(self, name)

    def open(self) -> None:
        """Connect to the running cell, unless already connected, in the thread that draws.

        Raises:
            DeviceError: If none is running.
            ValueError: If this machine can't render.
        """
        if self._live is not None:
            return
        leave_realtime_core()
        live = LiveCell(self._rig, self._task, visuals=True)
        self._cameras = Cameras(live.cell, still=self._still)
        self._pace = DrawingPace(self._cameras.rate_hz)
        self._ticks = iter(Metronome(1.0 / self._pace.rate_hz))
        self._live = live

    def close(self) -> None:
        """Release the OpenGL context, unless already released."""
        if self._cameras is not None:
            self._cameras.close()
        self._live = self._cameras = None

    def moment_after(self, number: int, timeout_s: float) -> int | None:
        """Return the number of the current moment if it is later than `number`; else wait.

        Args:
            number: Of the last moment that was rendered.
            timeout_s: After which None is returned.

        Raises:
            DeviceError: If the controller that runs the cell is gone.
        """
        assert self._live is not None, "open it first"
        deadline_s = time.monotonic() + timeout_s
        while self.number <= number:
            if time.monotonic() >= deadline_s:
                return None
            self._rest()
            begun_s = time.monotonic()
            cell = self._live.update()
            if cell.time_ns != self._shown_ns:
                self._shown_ns, self.stamp_ns = cell.time_ns, self._live.wall_ns
                self.number += 1
                self._drawing_since_s = begun_s
        return self.number

    @property
    def remarks(self) -> tuple[str, ...]:
        """That this machine draws more slowly than wanted, if it does."""
        if self._cameras is None or self._pace.rate_hz >= self._cameras.rate_hz:
            return ()
        return (
            f"drawn {self._pace.rate_hz:.0f} times a second, not {self._cameras.rate_hz:.0f}: this"
            " machine is too slow or too busy",
        )

    def _rest(self) -> None:
        """Wait until the next moment is due; all cameras have drawn the last one."""
        if self._drawing_since_s is not None:
            busy_s = time.monotonic() - self._drawing_since_s
            self._drawing_since_s = None
            if self._pace.drawn(busy_s):
                self._ticks = iter(Metronome(1.0 / self._pace.rate_hz))
        next(self._ticks)

    @property
    def cameras(self) -> Cameras:
        """The cell's cameras at the current moment."""
        assert self._cameras is not None, "open it first"
        return self._cameras
