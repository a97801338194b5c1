import dataclasses

import numpy as np
import pytest

from carp_ros.geometry import compose, invert, matrix_from_quaternion
from carp_ros.rig_cameras import CellCameraConfig, ExternalCameraConfig
from carp_ros.sim import cameras
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.tasks import task_named
from carp_ros.types import Pose


@pytest.fixture(scope="module")
def cell(rig) -> Cell:
    return Cell(rig, task_named("cup"), visuals=True)


@pytest.fixture(scope="module")
def drawn(cell):
    drawing = Cameras(cell)
    yield drawing
    drawing.close()


def reddish(image) -> np.ndarray:
    """Return the pixels (x, y) of the red cup, of shape (N, 2)."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    y, x = np.nonzero((red > 70) & (red > 2.2 * green) & (red > 2.2 * blue))
    return np.column_stack([x, y])


def test_images_have_the_sizes_of_the_rig_and_differ_between_cameras(drawn, rig):
    images = [drawn.render(name) for name in drawn.names]
    for image, config in zip(images, rig.cameras.values()):
        assert image.shape == (config.height_px, config.width_px, 3)
        assert image.dtype == np.uint8
        assert image.std() > 20
    assert np.abs(images[0].astype(int) - images[1]).mean() > 10


@pytest.mark.parametrize("name", ["wrist_cam", "third_cam"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_cup_is_seen_where_intrinsics_and_extrinsics_say(cell, drawn, name, seed):
    cell.reset(seed, "hard" if seed else "none")
    cell.model.mat("cup").rgba[:3] = (0.86, 0.1, 0.1)  # hard may turn it any colour
    middle = compose(
        cell.object_pose("cup"), Pose(np.array([0.0, 0.0, 0.046]), np.array([0.0, 0.0, 0.0, 1.0]))
    )
    seen_from_camera = compose(invert(drawn.base_from_camera(name)), middle).position
    x, y, depth = drawn.intrinsics(name).matrix @ seen_from_camera
    pixels = reddish(drawn.render(name))
    assert len(pixels) > 50
    half = (pixels.max(axis=0) - pixels.min(axis=0)) / 2
    offset = (pixels.max(axis=0) + pixels.min(axis=0)) / 2 - [x / depth, y / depth]
    assert (np.abs(offset) < np.maximum(0.4 * half, 4.0)).all(), f"{offset} px off"


def test_the_wrist_camera_moves_with_the_tool(cell, drawn, rig):
    cell.reset(0, "none")
    tool_from_camera = compose(invert(cell.tcp_pose), drawn.base_from_camera("wrist_cam"))
    for _ in range(200):
        cell.drive(np.array(rig.home_joints_rad) + 0.2, 0.0)
        cell.advance()
    now = compose(invert(cell.tcp_pose), drawn.base_from_camera("wrist_cam"))
    np.testing.assert_allclose(now.position, tool_from_camera.position, atol=1e-9)
    ahead = matrix_from_quaternion(now.quaternion)[:, 2]
    assert ahead[2] > 0.7, "it looks along the fingers"


def test_the_same_episode_gives_the_same_image(cell, drawn):
    cell.reset(4, "hard")
    first = drawn.render("third_cam")
    cell.reset(5, "hard")
    assert (drawn.render("third_cam") != first).any()
    cell.reset(4, "hard")
    np.testing.assert_array_equal(drawn.render("third_cam"), first)


def test_a_camera_that_the_cell_does_not_have_is_refused_by_name(rig):
    odd = dataclasses.replace(rig, cameras={"belly_cam": CellCameraConfig()})
    with pytest.raises(ValueError, match="no camera 'belly_cam' in the cell; expected"):
        Cameras(Cell(odd, task_named("cup"), visuals=False))


def test_a_cell_draws_its_own_cameras_alone_and_may_have_none(rig):
    webcam = ExternalCameraConfig(rate_hz=90.0)
    for others in ({}, {"webcam": webcam}):
        odd = dataclasses.replace(rig, cameras=others)
        drawn = Cameras(Cell(odd, task_named("cup"), visuals=False))
        assert drawn.names == ()
        assert drawn.rate_hz == 1.0


def test_a_machine_that_cannot_draw_is_told_what_to_install(cell, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(ValueError, match="apt-get install libegl1"):
        Cameras(cell)

    def no_display(*_):
        raise RuntimeError("no display")

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(cameras.mujoco, "Renderer", no_display)
    with pytest.raises(ValueError, match=r"MUJOCO_GL=egl: no display; on Debian"):
        Cameras(cell)
