"""Tests for checks/cameras.py: what `carp check <rig>` says about cameras."""

import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from carp_ros.checks import cameras as check_cameras
from carp_ros.checks.cameras import camera_checks
from carp_ros.hardware import image_faults
from carp_ros.hardware.camera import CameraFrame
from carp_ros.rig import load_rig
from carp_ros.rig_cameras import ExternalCameraConfig, OpenCvCameraConfig
from carp_ros.types import Intrinsics

from ..video_files import HEIGHT_PX, WIDTH_PX, write_video

GUESS = Intrinsics(64, 48, np.eye(3), "cam_optical_frame")
RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")


def rig_with(**cameras):
    return dataclasses.replace(RIG, cameras=cameras)


def video(path, images=20):
    return OpenCvCameraConfig(
        device=str(write_video(path, images)), width_px=WIDTH_PX, height_px=HEIGHT_PX
    )


def test_a_camera_is_opened_timed_and_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(check_cameras, "WATCH_S", 0.4)
    (look,) = camera_checks(rig_with(cam=video(tmp_path / "cam.avi")))
    finding = look.look()

    assert finding.found == "64x48 px at 30.0 Hz"
    assert "guess" in finding.remedy


def test_what_is_wrong_with_its_images_is_said_with_its_code(tmp_path, monkeypatch):
    monkeypatch.setattr(image_faults, "_WINDOW", 5)
    monkeypatch.setattr(check_cameras, "WATCH_S", 0.3)
    (look,) = camera_checks(rig_with(cam=video(tmp_path / "cam.avi")))

    assert "BLURRED" in look.look().remedy  # the pictures are plain


def test_a_camera_that_is_not_there_is_missing(tmp_path):
    (look,) = camera_checks(rig_with(cam=OpenCvCameraConfig(device=str(tmp_path / "none.avi"))))
    finding = look.look()

    assert (look.needed_for, finding.found) == ("", "does not open")
    assert "none.avi is not there" in finding.remedy


def test_a_camera_that_ends_while_it_is_looked_at_went_away(tmp_path):
    (look,) = camera_checks(rig_with(cam=video(tmp_path / "cam.avi", images=3)))
    assert look.look().found == "went away"


def test_cameras_of_the_cell_and_of_others_are_not_opened():
    assert camera_checks(rig_with(**RIG.cameras, other=ExternalCameraConfig())) == ()


class FakeCamera:
    """Sends images every few milliseconds, with the stamps that its clock gives."""

    def __init__(self, stamps_ns):
        self._stamps_ns = iter(stamps_ns)

    def open(self):
        pass

    def close(self):
        pass

    @property
    def info(self):
        return GUESS

    @property
    def serial_number(self):
        return ""

    @property
    def remarks(self):
        return ()

    def read(self, timeout_s):
        time.sleep(0.005)
        return CameraFrame(next(self._stamps_ns), np.zeros((48, 64, 3), np.uint8), 0)


@pytest.mark.parametrize(
    "stamps_ns",
    [itertools.repeat(10**18), itertools.count(10**18, -(10**7)), itertools.cycle((5, 10**18))],
)
def test_a_camera_whose_clock_does_not_go_on_is_no_fast_camera(stamps_ns, monkeypatch):
    monkeypatch.setattr(check_cameras, "WATCH_S", 0.1)
    config = OpenCvCameraConfig(device="x", width_px=64, height_px=48, rate_hz=30.0)
    finding = check_cameras._watched(FakeCamera(stamps_ns), config)
    assert "stamp" in finding.remedy
