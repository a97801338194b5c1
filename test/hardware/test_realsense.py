"""Tests for hardware/realsense.py with librealsense itself, on recordings of a software device."""

import sys

import cv2
import numpy as np
import pyrealsense2 as rs
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.realsense import RealSenseCamera, in_millimetres, intrinsics_of
from carp_ros.rig_cameras import RealSenseCameraConfig

from ..realsense_recordings import (
    FOCAL_PX,
    HEIGHT_PX,
    WIDTH_PX,
    colour_of,
    depth_of,
    record,
)

IMAGES = 8


def camera(path="", **settings):
    settings = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, **settings}
    config = RealSenseCameraConfig(playback_file=str(path), **settings)
    return RealSenseCamera("cam", config, lambda steady_ns: steady_ns)


def read_all(driver):
    """Open it and return copies of all frames until it ends."""
    driver.open()
    frames = []

    def read_on():
        while True:
            frame = driver.read(0.5)
            if frame is not None:
                depth = None if frame.depth is None else frame.depth.copy()
                frames.append((frame.sequence, frame.stamp_ns, frame.image.copy(), depth))

    with pytest.raises(DeviceError, match="ended"):
        read_on()
    driver.close()
    return frames


def assert_is(depth, expected, within):
    """Compare depth where it is known.

    Rounding in librealsense's alignment leaves a few holes, and gives a few pixels the depth of the
    next one: how many depends on the processor.
    """
    known = depth != 0
    assert known.mean() > 0.9
    off = np.abs(depth.astype(float) - expected)[known]
    a_pixel = np.diff(expected.astype(float), axis=1).max()
    assert (off <= within).mean() > 0.9
    assert off.max() <= within + a_pixel


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    return record(tmp_path_factory.mktemp("recorded") / "colour.db3", IMAGES)


@pytest.fixture(scope="module")
def colour_and_depth(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "depth.db3"
    return record(path, IMAGES, depth=True, without_depth=(4,))


@pytest.mark.realtime
def test_every_colour_image_comes_with_its_own_number_and_pixels(colour):
    for _ in range(2):  # and again once opened again
        frames = read_all(camera(colour))

        numbers = [number for number, *_ in frames]
        assert numbers == list(range(1, IMAGES + 1))
        for number, _, image, depth in frames:
            assert np.array_equal(image, colour_of(number - 1))
            assert depth is None


def test_stamps_keep_the_camera_s_own_intervals(colour):
    stamps_ns = np.array([stamp_ns for _, stamp_ns, *_ in read_all(camera(colour))])

    # the first ones move earlier as the shortest delay becomes known; none moves later
    steps_ns = np.diff(stamps_ns)
    assert (steps_ns > 0).all()
    assert steps_ns.max() < 33_333_333 + 1_000


def test_depth_is_aligned_exact_and_no_colour_image_is_lost_or_repeated_for_it(colour_and_depth):
    frames = read_all(camera(colour_and_depth, depth=True))

    numbers = [number for number, *_ in frames]
    # librealsense's synchroniser starts with the first image by which some depth has come
    assert numbers == list(range(numbers[0], IMAGES + 1))
    assert numbers[0] <= 4
    for number, _, image, depth in frames:
        assert np.array_equal(image, colour_of(number - 1))
        if depth is not None:
            assert depth.dtype == np.uint16
            assert_is(depth, depth_of(number - 1), within=0.0)
    assert [depth for number, _, _, depth in frames if number == 5] == [None]
    assert sum(depth is not None for *_, depth in frames) >= 2


def test_depth_in_another_unit_is_converted_to_millimetres(tmp_path):
    path = record(tmp_path / "d405.db3", IMAGES, depth=True, unit_m=0.0001)
    depths = [
        (number, depth)
        for number, _, _, depth in read_all(camera(path, depth=True))
        if depth is not None
    ]
    assert depths
    for number, depth in depths:
        assert_is(depth, depth_of(number - 1) / 10.0, within=0.5)


def test_millimetres_stay_what_they_are_and_too_far_is_the_farthest():
    depth = np.array([[0, 1, 65535]], np.uint16)

    assert np.array_equal(in_millimetres(depth, 0.001), depth)
    assert in_millimetres(depth, 0.01).tolist() == [[0, 10, 65535]]


def test_a_recording_that_is_removed_is_a_camera_that_is_unplugged(colour, tmp_path):
    path = tmp_path / "cam.db3"
    path.symlink_to(colour)
    driver = camera(path)
    driver.open()
    driver.read(0.5)
    path.unlink()
    with pytest.raises(DeviceError, match="is not there"):
        driver.read(0.5)
    driver.close()
    with pytest.raises(DeviceError, match="is not there"):
        driver.open()
    path.symlink_to(colour)
    driver.open()
    assert driver.read(0.5).sequence == 1
    driver.close()


@pytest.mark.parametrize("serial", ["", "99"])
def test_a_camera_that_is_not_plugged_in_is_said_with_those_that_are(serial):
    with pytest.raises(DeviceError, match=rf"RealSense {serial}.*not plugged in .*that are: none"):
        camera(serial=serial).open()


def test_several_cameras_need_a_serial_number():
    class Device:
        def __init__(self, serial):
            self.serial = serial

        def get_info(self, _):
            return self.serial

    class Context:
        def query_devices(self):
            return [Device("2"), Device("1")]

    driver = RealSenseCamera("cam", RealSenseCameraConfig(), lambda ns: ns, Context)
    with pytest.raises(ValueError, match=r"cameras\.cam: 2 RealSense .* serial: to be one of 1, 2"):
        driver.open()


def test_a_size_that_it_has_not_is_refused_with_those_that_it_has(colour):
    with pytest.raises(
        ValueError, match=r"no colour of 640x480 px at 30 Hz; expected .*64x48 at 30"
    ):
        camera(colour, width_px=640, height_px=480).open()


def test_depth_that_it_has_not_is_refused(colour):
    with pytest.raises(ValueError, match="no colour and depth"):
        camera(colour, depth=True).open()


def test_what_is_no_recording_is_refused(tmp_path):
    path = tmp_path / "cam.db3"
    path.write_bytes(b"no recording")
    with pytest.raises(ValueError, match=r"cameras\.cam: .*cam\.db3"):
        camera(path).open()


def test_without_the_library_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(ValueError, match=r"pip install 'carp_ros\[realsense\]'"):
        camera().open()


def test_settings_that_a_recording_has_not_are_said(colour):
    driver = camera(colour, exposure_us=8000.0, gain=16.0, white_balance_k=4600.0)
    driver.open()
    said = "; ".join(driver.remarks)
    driver.close()

    assert "in place of a camera" in said
    for key in ("exposure_us 8000", "gain 16", "white_balance_k 4600"):
        assert f"{key}.0 was not accepted; the device has no such setting" in said


def test_the_camera_s_own_intrinsics_are_published(colour):
    driver = camera(colour)
    driver.open()
    info = driver.info
    driver.close()

    assert (info.width_px, info.height_px, info.frame) == (WIDTH_PX, HEIGHT_PX, "cam_optical_frame")
    assert info.matrix.tolist() == [[FOCAL_PX, 0.0, 31.5], [0.0, FOCAL_PX + 1.0, 23.5], [0, 0, 1]]


@pytest.mark.parametrize(
    "model", ["brown_conrady", "modified_brown_conrady", "inverse_brown_conrady"]
)
def test_distortion_projects_a_point_where_librealsense_does(model):
    lens = rs.intrinsics()
    lens.width, lens.height, lens.ppx, lens.ppy, lens.fx, lens.fy = 640, 480, 321, 239, 600, 605
    lens.model = getattr(rs.distortion, model)
    lens.coeffs = [-0.055, 0.066, -0.0009, 0.0005, -0.021]
    info = intrinsics_of(lens, "cam_optical_frame")
    points = np.array([[0.3, -0.2, 1.0], [-0.4, 0.3, 1.0], [0.0, 0.0, 2.0]])

    still = np.zeros(3)
    ours, _ = cv2.projectPoints(points, still, still, info.matrix, np.array(info.distortion))
    theirs = [rs.rs2_project_point_to_pixel(lens, point.tolist()) for point in points]
    assert ours[:, 0] == pytest.approx(np.array(theirs), abs=0.01)
