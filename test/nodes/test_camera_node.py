"""Tests for what the camera node decides without ROS: which cameras it drives, what it tells."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from carp_ros.hardware.camera import CameraFrame
from carp_ros.hardware.image_faults import ImageWatch
from carp_ros.hardware.video_file import VideoFileCamera
from carp_ros.nodes.camera_drivers import driven_cameras, make_cameras
from carp_ros.nodes.camera_node import camera_statuses
from carp_ros.nodes.camera_reader import CameraReader
from carp_ros.rig import load_rig
from carp_ros.rig_cameras import ExternalCameraConfig, OpenCvCameraConfig, RealSenseCameraConfig
from carp_ros.ros.diagnostics import ERROR, OK, WARN

RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")


def test_cameras_that_others_publish_are_left_to_them():
    cameras = {**RIG.cameras, "webcam": ExternalCameraConfig()}
    rig = dataclasses.replace(RIG, cameras=cameras)

    assert driven_cameras(rig) == ("wrist_cam", "third_cam")


def test_cameras_of_one_cell_are_one_group_and_where_none_is_asked_for_there_is_none():
    (group,) = make_cameras(RIG, ("third_cam", "wrist_cam"), "", still=False)

    assert list(group) == ["third_cam", "wrist_cam"]
    assert make_cameras(RIG, (), "", still=False) == ()


def test_an_unknown_task_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="cup, bowl"):
        make_cameras(RIG, ("wrist_cam",), "juggle", still=False)


def test_a_camera_tells_its_frames_and_what_is_wrong():
    reader = CameraReader({"cam": None}, print, print, print)
    watches = {"cam": ImageWatch(has_noise=True)}
    (before,) = camera_statuses(reader, watches)
    reader.problem = ""
    for sequence in (1, 4):
        reader.counts["cam"].add(CameraFrame(0, np.zeros((2, 2, 3), np.uint8), sequence))
    (running,) = camera_statuses(reader, watches)

    assert (before.name, before.level, before.message) == ("camera: cam", ERROR, "not open yet")
    assert (running.level, running.message) == (OK, "running")
    assert {pair.key: pair.value for pair in running.values} == {
        "frames": "2",
        "lost": "2",
        "image": "not judged yet",
    }


def test_what_is_wrong_with_a_camera_s_images_or_settings_is_a_warning_with_a_code():
    reader = CameraReader({"cam": None}, print, print, print)
    reader.problem, reader.remarks["cam"] = "", ("gain 3 was not accepted",)
    watches = {"cam": ImageWatch(has_noise=True)}
    for _ in range(30):
        watches["cam"].take(np.zeros((48, 64, 3), np.uint8))
    (told,) = camera_statuses(reader, watches)

    assert told.level == WARN
    assert "lens cap" in told.message
    assert "gain 3 was not accepted" in told.message
    assert {pair.key: pair.value for pair in told.values}["image"] == "BLACK FROZEN"


@pytest.mark.parametrize("driver", ["opencv", "realsense"])
def test_each_device_is_read_by_a_thread_of_its_own(driver):
    section = {
        "opencv": OpenCvCameraConfig(device="/dev/video7"),
        "realsense": RealSenseCameraConfig(),
    }
    rig = dataclasses.replace(
        RIG, cameras={**RIG.cameras, "one": section[driver], "two": section[driver]}
    )

    cell, one, two = make_cameras(rig, driven_cameras(rig), "", still=False)
    assert list(cell) == ["wrist_cam", "third_cam"]
    assert (list(one), list(two)) == (["one"], ["two"])
    assert type(one["one"].driver).__name__.lower().startswith(driver)


def test_a_path_outside_dev_is_a_video_file(tmp_path):
    rig = dataclasses.replace(
        RIG, cameras={"cam": OpenCvCameraConfig(device=str(tmp_path / "a.avi"))}
    )

    ((camera,),) = (group.values() for group in make_cameras(rig, ("cam",), "", still=False))
    assert isinstance(camera.driver, VideoFileCamera)
