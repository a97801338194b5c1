"""Tests for checks/room.py."""

import pytest

from carp_ros.checks.probe import line_of
from carp_ros.checks.room import EpisodeRoomProbe, InotifyProbe, free_bytes
from carp_ros.checks.system_files import SystemFiles
from carp_ros.reports.check import CheckCode
from carp_ros.rig_cameras import RealSenseCameraConfig


def test_a_session_fits_or_it_does_not(tmp_path):
    def line(free_gb):
        return line_of(EpisodeRoomProbe(tmp_path, free_bytes=lambda folder: int(free_gb * 1e9)))

    assert line(60).code is CheckCode.OK
    assert line(20).code is CheckCode.DISK_FULL
    assert "42 GB" in line(20).expected
    assert "6 minutes" in line(20).value


def test_depth_needs_room_of_its_own(tmp_path):
    def line(depth):
        camera = RealSenseCameraConfig(width_px=640, height_px=480, rate_hz=30.0, depth=depth)
        cameras = {"cam": camera}
        return line_of(EpisodeRoomProbe(tmp_path, cameras, free_bytes=lambda _: 25_000_000_000))

    assert line(depth=False).code is CheckCode.OK
    assert line(depth=True).code is CheckCode.DISK_FULL


def test_a_folder_that_is_not_there_yet_is_looked_at_through_its_parent(tmp_path):
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.2)
    assert line_of(EpisodeRoomProbe(tmp_path / "a" / "b")).name == "disk"


@pytest.mark.parametrize(
    ("instances", "watches", "code"),
    [
        ("128", "8192", CheckCode.OK),
        ("64", "8192", CheckCode.INOTIFY_LOW),
        ("128", "1024", CheckCode.INOTIFY_LOW),
        ("many", "8192", CheckCode.UNREADABLE),
        ("--128", "8192", CheckCode.UNREADABLE),
        ("9" * 5000, "8192", CheckCode.UNREADABLE),
        (None, None, CheckCode.UNREADABLE),
    ],
)
def test_watching_files_takes_the_kernel_s_means(instances, watches, code, tmp_path):
    folder = tmp_path / "proc/sys/fs/inotify"
    if instances is not None:
        folder.mkdir(parents=True)
        (folder / "max_user_instances").write_text(f"{instances}\n", encoding="utf-8")
        (folder / "max_user_watches").write_text(f"{watches}\n", encoding="utf-8")
    assert line_of(InotifyProbe(SystemFiles(tmp_path))).code is code


def test_no_episode_fits_into_a_file(tmp_path):
    (tmp_path / "episodes").touch()
    line = line_of(EpisodeRoomProbe(tmp_path / "episodes" / "cups"))
    assert (line.code, "no folder" in line.value) == (CheckCode.FOLDER_UNUSABLE, True)
