"""Room for episodes, and the kernel's limits on watched files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carp_ros.checks.probe import CheckResult
from carp_ros.checks.system_files import THIS_MACHINE, SystemFiles, unreadable
from carp_ros.reports.check import CheckCode
from carp_ros.rig_cameras import CameraConfig, has_depth

SESSION_S = 50 * 15.0
"""Fifty demonstrations of a quarter of a minute."""

_STATES_B_S = 1e6  # joint states, poses and the rest, generously
_INSTANCES, _WATCHES = 128, 8192  # the kernel's own defaults


def free_bytes(folder: Path) -> int:
    """Return the free space of the file system that a folder is, or will be, on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class EpisodeRoomProbe:
    """Whether a session of demonstrations fits on the disk.

    Attributes:
        folder: Where episodes go.
        cameras: The rig's cameras; two of 640 x 480 at 30 Hz if there are none.
    """

    folder: Path
    cameras: Mapping[str, CameraConfig] = field(default_factory=dict)
    free_bytes: Callable[[Path], int] = free_bytes
    needed_for: str = "recording"
    name: str = "disk"
    code: CheckCode = CheckCode.DISK_FULL

    def look(self) -> CheckResult:
        """Compare the free space with what the cameras' raw images fill."""
        folder = self.folder.absolute()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            why = "can't be written" if there.is_dir() else "is no folder"
            remedy = "record in another folder, with --folder"
            return CheckResult(f"{there} {why}", remedy, CheckCode.FOLDER_UNUSABLE)
        rate = self._bytes_a_second()
        needed_gb, free = rate * SESSION_S * 1e-9, self.free_bytes(folder)
        found = f"{free * 1e-9:.0f} GB free in {there}: {free / rate / 60.0:.0f} minutes of images"
        expected = f"{needed_gb:.0f} GB: fifty demonstrations of {SESSION_S / 50:.0f} s"
        if free * 1e-9 < needed_gb:
            remedy = "record to a larger disk, with --folder, or convert and remove old episodes"
            return CheckResult(found, remedy, self.code, expected)
        return CheckResult(found, expected=expected)

    def _bytes_a_second(self) -> float:
        pixels = sum(
            camera.width_px * camera.height_px * camera.rate_hz * (5 if has_depth(camera) else 3)
            for camera in self.cameras.values()
        )
        return _STATES_B_S + (pixels or 2 * 640 * 480 * 30 * 3)


@dataclass(frozen=True)
class InotifyProbe:
    """Whether programs that watch files, as viewers and launch do, get the kernel's means."""

    files: SystemFiles = THIS_MACHINE
    needed_for: str = "programs that watch files"
    name: str = "inotify"
    code: CheckCode = CheckCode.INOTIFY_LOW

    def look(self) -> CheckResult:
        """Read the limits."""
        folder = "/proc/sys/fs/inotify"
        instances = self.files.number(f"{folder}/max_user_instances")
        watches = self.files.number(f"{folder}/max_user_watches")
        if instances is None or watches is None:
            return unreadable(f"there is no {folder}", "nothing, unless a viewer fails to start")
        found = f"{instances} instances and {watches} watches a user"
        expected = f"{_INSTANCES} and {_WATCHES} at least"
        if instances >= _INSTANCES and watches >= _WATCHES:
            return CheckResult(found, expected=expected)
        remedy = (
            f"sysctl -w fs.inotify.max_user_instances={_INSTANCES}"
            f" fs.inotify.max_user_watches={_WATCHES * 8}"
        )
        return CheckResult(found, remedy, self.code, expected)
