"""Tests for sim/cell_camera.py: the cameras of a cell whose physics the test runs."""

import dataclasses
import os

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.sim.cell import Cell
from carp_ros.sim.cell_camera import CellView
from carp_ros.sim.cell_plant import CellPlant
from carp_ros.sim.controllers import snapshot_name
from carp_ros.sim.tasks import task_named

TASK = task_named("cup")


@pytest.fixture(scope="module")
def here(rig):
    """The rig, at an address of this process's own."""
    arm = dataclasses.replace(rig.arm, host=f"127.77.{os.getpid() % 256}.1")
    return dataclasses.replace(rig, arm=arm)


class Running:
    """A controller's physics that passes when the test says so."""

    def __init__(self, rig):
        self.plant = CellPlant(Cell(rig, TASK, visuals=False), snapshot_name(rig))
        self.wall_ns = 1_000

    def advance(self):
        self.plant.advance()
        self.wall_ns += 2_000_000
        self.plant.publish(self.wall_ns)


@pytest.fixture(scope="module")
def running(here):
    physics = Running(here)
    physics.advance()
    yield physics
    physics.plant.close()


@pytest.fixture(scope="module")
def view(here, running):
    drawn = CellView(here, TASK)
    drawn.open()
    yield drawn
    drawn.close()


def opened(view, name):
    camera = view.camera(name)
    camera.open()
    return camera


def test_cameras_that_are_read_in_turns_show_one_moment_with_one_stamp(view, running):
    wrist, third = opened(view, "wrist_cam"), opened(view, "third_cam")
    for _ in range(3):
        running.advance()
        first, second = wrist.read(1.0), third.read(1.0)
        assert first.stamp_ns == second.stamp_ns == running.wall_ns
        assert first.sequence == second.sequence
        assert first.image.shape == (240, 320, 3)
        assert (first.image != second.image).any()
        running.advance()  # between two rounds


def test_while_the_physics_stands_still_there_is_no_frame(view, running):
    camera = opened(view, "wrist_cam")
    running.advance()
    assert camera.read(1.0) is not None
    assert camera.read(0.1) is None
    running.advance()
    assert camera.read(1.0) is not None


def test_it_says_how_it_projects(view):
    info = view.camera("third_cam").info

    assert (info.width_px, info.height_px) == (320, 240)
    assert info.frame == "third_cam_optical_frame"
    np.testing.assert_array_equal(info.matrix[:2, 2], [159.5, 119.5])
    assert not any(info.distortion)


def test_a_still_camera_goes_on_with_new_stamps_and_the_first_image(here, running):
    view = CellView(here, TASK, still=True)
    camera = view.camera("wrist_cam")
    camera.open()
    try:
        running.advance()
        first = camera.read(1.0)
        running.plant.drive(np.array(here.home_joints_rad) + 0.3, 1.0)
        for _ in range(100):
            running.advance()
        second = camera.read(1.0)
    finally:
        camera.close()

    assert second.stamp_ns > first.stamp_ns
    assert second.image is first.image


def test_without_a_running_cell_it_is_refused_before_anything_is_built(here):
    arm = dataclasses.replace(here.arm, host="127.78.0.1")
    camera = CellView(dataclasses.replace(here, arm=arm), TASK).camera("wrist_cam")

    with pytest.raises(DeviceError, match=r"no shared record .*cell_127\.78\.0\.1; start"):
        camera.open()
    camera.close()
