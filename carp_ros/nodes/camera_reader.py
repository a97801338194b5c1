"""Reads cameras on a separate thread and reopens them when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from carp_ros.errors import DeviceError, UsageError
from carp_ros.hardware.camera import Camera, CameraFrame
from carp_ros.types import Intrinsics

_READ_S = 0.5
_PAUSE_S = 0.5

Take = Callable[[str, CameraFrame, Intrinsics], None]
"""Takes a camera's name, one of its frames and its intrinsics."""


@dataclass
class CameraCounts:
    """Frame counts of one camera: `frames` received, and `lost` (dropped) ones."""

    frames: int = 0
    lost: int = 0
    newest: int | None = None  # sequence number

    def add(self, frame: CameraFrame) -> None:
        """Count a frame and any dropped frames before it."""
        if self.newest is not None:
            self.lost += max(0, frame.sequence - self.newest - 1)
        self.newest = frame.sequence
        self.frames += 1


class CameraReader:
    """A group of cameras that one thread opens, reads in turn and closes.

    If one of them fails, the whole group is closed and reopened after a pause.

    Args:
        cameras: Cameras by name.
        take_image: Called with each frame as soon as it is read.
        take_info: Called with the same frames at the end of the round, so that it does not delay
            the round's images.
        log: Called with one line whenever `problem` changes.

    Attributes:
        counts: Frame counts by camera name.
        remarks: By camera name, how it differs from what the rig's file asks for; each is logged
            when it is first made.
        problem: The current problem; empty if there is none.
    """

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        take_image: Take,
        take_info: Take,
        log: Callable[[str], object],
    ) -> None:
        self._cameras = cameras
        self._take_image = take_image
        self._take_info = take_info
        self._log = log
        self._failure: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.counts = {name: CameraCounts() for name in cameras}
        self.remarks: dict[str, tuple[str, ...]] = dict.fromkeys(cameras, ())
        self.problem = "not open yet"

    def start(self) -> None:
        """Start the thread, which opens and reads the cameras."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop reading and close the cameras."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def raise_failure(self) -> None:
        """Raise if the thread ended because of an error that retrying cannot fix.

        Raises:
            UsageError: If the cameras cannot be opened as the rig file specifies.
            Exception: Any error caused by a bug.
        """
        if isinstance(self._failure, ValueError):
            raise UsageError(str(self._failure)) from self._failure
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._read_until_failure()
                self._stopping.wait(_PAUSE_S)
        except Exception as error:
            if not self._stopping.is_set():  # while stopping, the publishers may be gone
                self._failure = error

    def _read_until_failure(self) -> None:
        try:
            for camera in self._cameras.values():
                camera.open()
            infos = {name: camera.info for name, camera in self._cameras.items()}
            while not self._stopping.is_set():
                self._read_round(infos)
        except DeviceError as error:
            self._tell(str(error))
        finally:
            for camera in self._cameras.values():
                camera.close()

    def _read_round(self, infos: Mapping[str, Intrinsics]) -> None:
        frames: dict[str, CameraFrame] = {}
        silent: list[str] = []
        for name, camera in self._cameras.items():
            frame = camera.read(_READ_S)
            if frame is None:
                silent.append(name)
                continue
            self.counts[name].add(frame)
            self._take_image(name, frame, infos[name])
            frames[name] = frame
        for name, frame in frames.items():
            self._take_info(name, frame, infos[name])
        for name, camera in self._cameras.items():
            self._tell_remarks(name, camera.remarks)
        self._tell(f"no frame of {', '.join(silent)} for {_READ_S} s" if silent else "")

    def _tell_remarks(self, name: str, remarks: tuple[str, ...]) -> None:
        known = self.remarks[name]
        if remarks != known:
            self.remarks[name] = remarks
            for remark in remarks:
                if remark not in known:
                    self._log(f"{name}: {remark}")

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._log(f"{', '.join(self._cameras)}: {problem or 'running'}")
