"""Tests for hardware/opencv_camera.py: OpenCV's own V4L2 backend on a virtual device."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.opencv_camera import OpenCvCamera
from carp_ros.rig_cameras import OpenCvCameraConfig

FOLDER = Path(__file__).parent
COMPILER = shutil.which("cc")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What a process saw of the device; see read_virtual_v4l2.py."""
    if COMPILER is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and Linux's headers: apt-get install gcc linux-libc-dev")
    folder = tmp_path_factory.mktemp("v4l2")
    library, image, device = folder / "v4l2.so", folder / "red.jpg", folder / "video0"
    source = str(FOLDER / "virtual_v4l2.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    red_left = np.zeros((48, 64, 3), np.uint8)
    red_left[:, :32, 2] = 255
    cv2.imwrite(str(image), red_left)
    device.touch()
    run = subprocess.run(
        [sys.executable, str(FOLDER / "read_virtual_v4l2.py")],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "V4L2_DEVICE": str(device),
            "V4L2_JPEG": str(image),
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_motion_jpeg_comes_in_rgb_with_the_kernel_s_own_stamps(said):
    frames = said["locked"]["frames"]

    for frame in frames:
        left, right = frame["pixels"]
        assert left[0] > 200 > 60 > max(left[1:])
        assert max(right) < 60
    # the device stamps 5 ms before it hands a frame over
    assert 5.0 <= min(frame["age_ms"] for frame in frames) < 30.0
    assert all(b["stamp_ns"] > a["stamp_ns"] for a, b in pairwise(frames))


def test_frames_that_a_late_reader_missed_are_seen_in_the_sequence(said):
    last, late = said["locked"]["frames"][-1], said["locked"]["late"]

    periods = (late["stamp_ns"] - last["stamp_ns"]) / 33_333_333
    assert late["sequence"] - last["sequence"] == max(1, round(periods))


def test_what_the_device_did_not_accept_is_said_and_nothing_else(said):
    remarks = said["locked"]["remarks"]

    assert any("rate_hz 60 was not accepted; the device has 30" in each for each in remarks)
    assert any("focus 10 was not accepted; the device has no such" in each for each in remarks)
    assert any("intrinsics are a guess" in each for each in remarks)
    assert not any("exposure" in each or "gain" in each for each in remarks)


def test_a_format_that_it_has_not_is_said_with_the_one_that_it_sends(said):
    assert any("H264 was not accepted; the device sends" in each for each in said["fourcc"])
    assert not any("fourcc" in each for each in said["yuyv"]["remarks"])


def test_unplugged_it_is_a_device_that_is_gone_and_plugged_in_again_it_is_read_again(said):
    for error in said["unplugged"]:
        assert error.startswith("DeviceError: ")
        assert "video0 is not there: plug the camera in" in error
    assert said["replugged"]["sequence"] == 1


def test_without_stamps_of_the_monotonic_clock_arrivals_count_and_it_is_said(said):
    frames, remarks = said["no stamps"]["frames"], said["no stamps"]["remarks"]

    assert all(0.0 <= frame["age_ms"] < 1000.0 for frame in frames)
    assert all(b["stamp_ns"] > a["stamp_ns"] for a, b in pairwise(frames))
    assert sum("stamped with their arrival" in each for each in remarks) == 1


def test_a_size_that_it_has_not_is_refused_with_the_one_that_it_sends(said):
    assert said["size"].startswith("ValueError: cameras.cam: ")
    assert "sends 64x48 px for 640x480" in said["size"]


def test_a_device_that_is_not_there_is_said_with_those_that_are(tmp_path):
    (tmp_path / "usb-Other-video-index0").touch()
    config = OpenCvCameraConfig(device=str(tmp_path / "usb-Mine-video-index0"))
    with pytest.raises(DeviceError, match=r"usb-Mine.* is not there: .*usb-Other-video-index0"):
        OpenCvCamera("cam", config, lambda ns: ns).open()


def test_a_file_that_is_no_camera_is_not_opened(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    with pytest.raises(DeviceError, match="can't be opened as a camera"):
        OpenCvCamera("cam", OpenCvCameraConfig(device=str(path)), lambda ns: ns).open()
