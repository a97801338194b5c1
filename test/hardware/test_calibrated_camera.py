"""Tests for calibrated_camera.py: what was measured of a camera replaces what its driver says."""

from datetime import date

import numpy as np
import pytest

from carp_ros.calibrated.result_file import CameraIntrinsics, Provenance
from carp_ros.calibrated.rig_calibration import RigCalibration
from carp_ros.hardware.calibrated_camera import CalibratedCamera
from carp_ros.hardware.camera import CameraFrame
from carp_ros.hardware.opencv_camera import usb_serial_number
from carp_ros.hardware.pinhole import GUESSED, guessed_intrinsics

REMARK = "gain 3 was not accepted"


class FakeCamera:
    """A camera of 4 x 2 px that gives one frame a read."""

    def __init__(self, serial_number="0123", size_px=(64, 48)):
        self.serial_number = serial_number
        self.size_px = size_px
        self.remarks = (REMARK, GUESSED)
        self.is_open = False
        self.silent = False

    def open(self):
        self.is_open = True

    @property
    def info(self):
        return guessed_intrinsics(*self.size_px, "cam_optical_frame")

    def read(self, timeout_s):
        image = np.zeros((*self.size_px[::-1], 3), np.uint8)
        return None if self.silent else CameraFrame(1_000_000_000, image, 1)

    def close(self):
        self.is_open = False


def calibration(serial_number="0123"):
    whence = Provenance(
        "rig", date.today().isoformat(), "method", "source", 15, serial_number=serial_number
    )
    distortion = (-0.1, 0.02, 0.0, 0.001, 0.0)
    result = CameraIntrinsics(
        "intrinsics", "cam", 64, 48, (60.0, 61.0), (30.5, 24.5), distortion, 0.1, 0.1, whence
    )
    return RigCalibration(intrinsics={"cam": result})


def test_measured_intrinsics_are_published_and_are_no_guess_any_more():
    camera = CalibratedCamera("cam", FakeCamera(), calibration(), 0.0)
    camera.open()
    assert camera.info.matrix.tolist() == [[60.0, 0.0, 30.5], [0.0, 61.0, 24.5], [0.0, 0.0, 1.0]]
    assert camera.info.distortion == (-0.1, 0.02, 0.0, 0.001, 0.0)
    assert camera.info.frame == "cam_optical_frame"
    assert camera.remarks == (REMARK,)


def test_without_a_calibration_the_guess_is_published_and_said():
    camera = CalibratedCamera("cam", FakeCamera(), RigCalibration(), 0.0)
    camera.open()
    assert camera.info.matrix[0, 0] == 64.0
    assert GUESSED in camera.remarks


def test_the_measured_latency_is_taken_off_each_stamp():
    fake = FakeCamera()
    camera = CalibratedCamera("cam", fake, RigCalibration(), 0.0125)
    camera.open()
    assert camera.read(0.1).stamp_ns == 987_500_000
    fake.silent = True
    assert camera.read(0.1) is None


def test_another_camera_than_the_calibrated_one_is_refused_by_name_and_closed():
    fake = FakeCamera(serial_number="9999")
    camera = CalibratedCamera("cam", fake, calibration(), 0.0)
    with pytest.raises(ValueError, match=r"has .* 9999, but cam_intrinsics\.yaml .* 0123.*plug"):
        camera.open()
    assert not fake.is_open


@pytest.mark.parametrize(("has", "measured"), [("", "0123"), ("0123", "")])
def test_a_serial_number_that_is_not_known_is_not_compared(has, measured):
    CalibratedCamera("cam", FakeCamera(serial_number=has), calibration(measured), 0.0).open()


def test_images_of_another_size_than_calibrated_are_refused_and_the_camera_closed():
    fake = FakeCamera(size_px=(128, 96))
    camera = CalibratedCamera("cam", fake, calibration(), 0.0)
    with pytest.raises(ValueError, match=r"128x96 px, but cam_intrinsics\.yaml is for 64x48"):
        camera.open()
    assert not fake.is_open


def test_a_usb_cameras_serial_number_is_that_of_the_device_around_its_interface(tmp_path):
    interface = tmp_path / "devices" / "usb1" / "1-2" / "1-2:1.0"
    interface.mkdir(parents=True)
    classes = tmp_path / "class"
    (classes / "video7").mkdir(parents=True)
    (classes / "video7" / "device").symlink_to(interface)
    by_id = tmp_path / "by-id"
    (tmp_path / "video7").touch()
    by_id.symlink_to(tmp_path / "video7")

    assert usb_serial_number(by_id, classes) == ""
    (interface.parent / "serial").write_text("A1B2\n", encoding="utf-8")
    assert usb_serial_number(by_id, classes) == "A1B2"
    assert usb_serial_number(tmp_path / "video8", classes) == ""
