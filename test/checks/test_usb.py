"""Tests for checks/usb.py, with a /sys of the test's own."""

import os

import pytest

from carp_ros.checks.probe import line_of
from carp_ros.checks.system_files import SystemFiles
from carp_ros.checks.usb import UsbProbe, needed_mbit
from carp_ros.reports.check import CheckCode
from carp_ros.rig_cameras import OpenCvCameraConfig, RealSenseCameraConfig

VGA = {"width_px": 640, "height_px": 480, "rate_hz": 30.0}
COLOUR = RealSenseCameraConfig(**VGA)
WITH_DEPTH = RealSenseCameraConfig(**VGA, depth=True)


class FakeSys:
    """A tree of USB devices, as the kernel shows it."""

    def __init__(self, root):
        self.root = root
        self.files = SystemFiles(root)

    def plug(self, port, speed, product, serial="", vendor="8086"):
        folder = self.root / "sys/devices/pci0/usb" / port
        folder.mkdir(parents=True)
        values = {"speed": speed, "product": product, "idVendor": vendor, "serial": serial}
        for name, value in values.items():
            (folder / name).write_text(f"{value}\n", encoding="utf-8")
        listed = self.root / "sys/bus/usb/devices"
        listed.mkdir(parents=True, exist_ok=True)
        (listed / port).symlink_to(os.path.relpath(folder, listed))
        return folder

    def plug_video(self, number, port, speed, product="HD Webcam", serial="AB12", link=""):
        device = self.plug(port, speed, product, serial, vendor="046d")
        interface = device / f"{port}:1.0"
        interface.mkdir()
        video = self.root / f"sys/class/video4linux/video{number}"
        video.mkdir(parents=True)
        (video / "device").symlink_to(os.path.relpath(interface, video))
        node = self.root / f"dev/video{number}"
        node.parent.mkdir(exist_ok=True)
        node.touch()
        if link:
            by_id = self.root / "dev/v4l/by-id"
            by_id.mkdir(parents=True)
            (by_id / link).symlink_to(f"../../video{number}")


@pytest.fixture
def sysfs(tmp_path):
    return FakeSys(tmp_path)


def line(sysfs, name="cam", **cameras):
    return line_of(UsbProbe(name, cameras, sysfs.files))


def webcam(device="/dev/video0", fourcc="MJPG"):
    return OpenCvCameraConfig(device=device, fourcc=fourcc, **VGA)


def test_a_camera_on_usb_3_is_green_and_its_serial_is_told(sysfs):
    sysfs.plug("2-1", 5000, "Intel(R) RealSense(TM) Depth Camera 435", "0123456789")
    found = line(sysfs, cam=WITH_DEPTH)
    assert found.code is CheckCode.OK
    assert "serial 0123456789 at 5000 Mbit/s" in found.value


def test_colour_and_depth_do_not_fit_through_usb_2(sysfs):
    sysfs.plug("1-1", 480, "Intel(R) RealSense(TM) Depth Camera 435")
    assert line(sysfs, cam=WITH_DEPTH).code is CheckCode.USB_SLOW
    assert line(sysfs, cam=COLOUR).code is CheckCode.OK


def test_a_video_device_is_found_through_its_lasting_name(sysfs):
    sysfs.plug_video(4, "1-2", 480, link="usb-HD_Webcam-index0")
    found = line(sysfs, cam=webcam("/dev/v4l/by-id/usb-HD_Webcam-index0"))
    assert found.code is CheckCode.OK
    assert "HD Webcam serial AB12" in found.value


def test_a_camera_at_full_speed_usb_is_too_slow(sysfs):
    sysfs.plug_video(0, "1-2", 12)
    assert line(sysfs, cam=webcam()).code is CheckCode.USB_SLOW


def test_cameras_that_fit_alone_may_be_too_many_for_their_bus(sysfs):
    for number in range(3):
        sysfs.plug_video(number, f"1-{number + 1}", 480)
    cameras = {f"cam{i}": webcam(f"/dev/video{i}", "YUYV") for i in range(3)}
    assert line(sysfs, "cam0", **cameras).code is CheckCode.USB_BUS_FULL
    two = {name: cameras[name] for name in ("cam0", "cam1")}
    assert line(sysfs, "cam0", **two).code is CheckCode.OK


def test_cameras_on_buses_of_their_own_do_not_share(sysfs):
    for number in range(3):
        sysfs.plug_video(number, f"{number + 1}-1", 480)
    cameras = {f"cam{i}": webcam(f"/dev/video{i}", "YUYV") for i in range(3)}
    assert line(sysfs, "cam0", **cameras).code is CheckCode.OK


@pytest.mark.parametrize("camera", [webcam(), COLOUR])
def test_a_camera_that_is_not_plugged_in_is_absent(camera, sysfs):
    assert line(sysfs, cam=camera).code is CheckCode.CAMERA_ABSENT


def test_two_alike_are_not_told_apart_by_guessing(sysfs):
    for port in ("2-1", "2-2"):
        sysfs.plug(port, 5000, "Intel(R) RealSense(TM) Depth Camera 435", f"s{port}")
    found = line(sysfs, cam=COLOUR)
    assert found.code is CheckCode.UNREADABLE
    assert "s2-1, s2-2" in found.value


@pytest.mark.parametrize(
    "camera",
    [OpenCvCameraConfig(device="cam.avi", **VGA), RealSenseCameraConfig(playback_file="a.db3")],
)
def test_a_file_has_no_usb(camera, sysfs):
    assert line(sysfs, cam=camera).code is CheckCode.NOT_APPLICABLE


def test_what_images_need_follows_from_size_rate_and_format():
    assert needed_mbit(COLOUR) == pytest.approx(640 * 480 * 30 * 16e-6)
    assert needed_mbit(WITH_DEPTH) == pytest.approx(2 * needed_mbit(COLOUR))
    assert needed_mbit(webcam(fourcc="MJPG")) < needed_mbit(webcam(fourcc="YUYV"))


@pytest.mark.parametrize("speed", ["", "unknown", "nan", "inf", "-480", "0"])
def test_a_speed_that_the_kernel_does_not_tell_is_no_green_light(speed, sysfs):
    sysfs.plug_video(0, "1-2", speed)
    found = line(sysfs, cam=webcam())
    assert found.code is CheckCode.UNREADABLE
    assert "1-2" in found.value


def test_a_device_that_vanishes_leaves_the_other_cameras_to_be_judged(sysfs):
    sysfs.plug_video(0, "1-2", 480)
    sysfs.plug_video(1, "1-3", "")
    assert line(sysfs, "cam", cam=webcam(), gone=webcam("/dev/video1")).code is CheckCode.OK


def test_a_video_device_that_is_not_on_usb_needs_none(sysfs):
    """As one on a board's CSI port, or a loopback device."""
    (sysfs.root / "sys/class/video4linux/video0/device").mkdir(parents=True)
    (sysfs.root / "dev").mkdir()
    (sysfs.root / "dev/video0").touch()
    assert line(sysfs, cam=webcam()).code is CheckCode.NOT_APPLICABLE
