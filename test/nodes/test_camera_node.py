"""Tests for what the camera node decides without ROS: which cameras it drives, what it tells."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from carp_ros.hardware.camera import CameraFrame
from carp_ros.nodes.camera_drivers import driven_cameras, make_cameras
from carp_ros.nodes.camera_node import camera_statuses
from carp_ros.nodes.camera_reader import CameraReader
from carp_ros.rig import load_rig
from carp_ros.rig_devices import ExternalCameraConfig
from carp_ros.ros.diagnostics import ERROR, OK

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
    (before,) = camera_statuses(reader)
    reader.problem = ""
    for sequence in (1, 4):
        reader.counts["cam"].add(CameraFrame(0, np.zeros((2, 2, 3), np.uint8), sequence))
    (running,) = camera_statuses(reader)

    assert (before.name, before.level, before.message) == ("camera: cam", ERROR, "not open yet")
    assert (running.level, running.message) == (OK, "running")
    assert {pair.key: pair.value for pair in running.values} == {"frames": "2", "lost": "2"}
