"""Tests for hardware/video_file.py with real video files."""

import time
from itertools import pairwise

import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.video_file import VideoFileCamera
from carp_ros.rig_cameras import OpenCvCameraConfig

from ..video_files import HEIGHT_PX, WIDTH_PX, number_of, write_video

LATER_NS = 1_000_000_000_000


def camera(path, **settings):
    config = OpenCvCameraConfig(
        device=str(path), width_px=WIDTH_PX, height_px=HEIGHT_PX, **settings
    )
    return VideoFileCamera("cam", config, lambda steady_ns: steady_ns + LATER_NS)


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / "cam.avi", images=6)


def read_all(driver):
    frames = [driver.read(0.5) for _ in range(6)]
    with pytest.raises(DeviceError, match=r"cam\.avi ended after 6 images"):
        driver.read(0.5)
    return frames


def test_every_image_comes_in_rgb_and_in_order_and_the_end_is_a_device_that_is_gone(path):
    driver = camera(path)
    driver.open()
    frames = read_all(driver)
    driver.close()

    assert [frame.sequence for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3, 4, 5]
    left = frames[0].image[HEIGHT_PX // 2, WIDTH_PX // 4].astype(int)
    assert left[0] > left[2] + 50


def test_stamps_are_when_an_image_was_due_however_late_it_is_read(path):
    driver = camera(path)
    before_ns = time.monotonic_ns() + LATER_NS
    driver.open()
    time.sleep(0.1)
    stamps_ns = [frame.stamp_ns for frame in read_all(driver)]
    driver.close()

    assert 0 <= stamps_ns[0] - before_ns < 5_000_000_000
    steps_ns = [after - before for before, after in pairwise(stamps_ns)]
    assert steps_ns == pytest.approx([1e9 / 30] * 5, abs=2)


def test_images_do_not_come_before_they_are_due(path):
    driver = camera(path)
    driver.open()
    for _ in range(4):
        frame = driver.read(0.5)
        assert time.monotonic_ns() + LATER_NS >= frame.stamp_ns
    driver.close()


def test_an_image_that_is_not_due_within_the_timeout_is_none(tmp_path):
    driver = camera(write_video(tmp_path / "slow.avi", images=2, rate_hz=1), rate_hz=1.0)
    driver.open()
    assert driver.read(0.01) is not None
    assert driver.read(0.01) is None
    driver.close()


def test_it_is_played_again_once_opened_again(path):
    driver = camera(path)
    for _ in range(2):
        driver.open()
        assert number_of(driver.read(0.5).image) == 0
        driver.close()


def test_a_file_that_is_removed_is_a_camera_that_is_unplugged(path):
    driver = camera(path)
    driver.open()
    driver.read(0.5)
    away = path.rename(path.with_suffix(".away"))
    with pytest.raises(DeviceError, match="is not there"):
        driver.read(0.5)
    with pytest.raises(DeviceError, match="is not there"):
        driver.open()
    away.rename(path)
    driver.open()
    assert driver.read(0.5) is not None
    driver.close()


def test_another_file_under_the_same_name_is_opened_anew(path):
    driver = camera(path)
    driver.open()
    other = write_video(path.with_name("other.avi"), images=3)
    other.replace(path)
    with pytest.raises(DeviceError, match="replaced by another file"):
        driver.read(0.5)
    driver.close()


def test_a_file_of_another_size_is_refused_with_both_sizes(tmp_path):
    path = write_video(tmp_path / "big.avi", images=1, size_px=(96, 64))
    with pytest.raises(
        ValueError, match=r"cameras\.cam: .*big\.avi has images of 96x64 px.* 64 and 48"
    ):
        camera(path).open()


def test_what_is_no_video_is_refused(tmp_path):
    path = tmp_path / "cam.avi"
    path.write_bytes(b"RIFF but no more")
    with pytest.raises(ValueError, match="no video that FFmpeg can read"):
        camera(path).open()


def test_what_a_file_can_not_do_is_said(path):
    driver = camera(path, rate_hz=25.0, exposure_us=8000.0)
    driver.open()
    said = "; ".join(driver.remarks)
    driver.close()

    assert "plays" in said
    assert "guess" in said
    assert "30 images per second, not 25" in said
    assert "a file has no exposure_us" in said


def test_without_calibration_the_lens_is_a_plain_pinhole(path):
    info = camera(path).info

    assert (info.width_px, info.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert info.frame == "cam_optical_frame"
    assert info.matrix[0, 0] == info.matrix[1, 1] == WIDTH_PX
