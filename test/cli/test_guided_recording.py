"""Tests for guided_recording.py: views and touches of a running rig, which a fake stands in for."""

import dataclasses
from datetime import date

import cv2
import numpy as np
import pytest
import yaml

from bench.calibration.views import BOARD as CELL_BOARD
from bench.calibration.views import CalibrationCell
from carp_ros.calibrated.result_file import (
    CameraIntrinsics,
    CameraPose,
    Provenance,
    load_result,
    write_result,
)
from carp_ros.calibration.board import BoardDetector
from carp_ros.calibration.guide import Moment
from carp_ros.calibration.latency import Signal
from carp_ros.calibration.readings import POSES, load_poses, load_signal
from carp_ros.calibration.transforms import (
    distance,
    inverse,
    matrix_from_pose,
    pose_from_matrix,
    rotation_from_rotvec,
)
from carp_ros.cli import main as cli
from carp_ros.cli.guided_recording import (
    ENOUGH_TOUCHES,
    take_touches,
    take_views,
    track_board,
    write_signal,
)
from carp_ros.errors import CalibrationError
from carp_ros.rig import load_nominal_rig
from carp_ros.share import share_folder

from .test_calibrate import BASE_FROM_BOARD, BOARD, FLANGE_FROM_CAMERA, TRUE, picture

STEP_NS = 100_000_000
RIG = share_folder() / "config" / "ur5e_sim.yaml"


class FakeRig:
    """Stands still at each scene for a second, with a blink in between; then Ctrl-C is pressed."""

    def __init__(self, scenes, still=10):
        self.scenes = [scene for scene in scenes for _ in range(still)]
        self.now_ns = 0

    def moment(self):
        if not self.scenes:
            raise KeyboardInterrupt
        self.now_ns += STEP_NS
        image, flange = self.scenes.pop(0)
        return Moment(self.now_ns, image, flange, 0.0)

    def flange(self):
        return self.scenes.pop(0) if self.scenes else None


class SilentRig:
    """Sends nothing."""

    def moment(self):
        return None

    def flange(self):
        return None


@pytest.fixture(scope="module")
def scenes():
    """Pictures of a drawn board from sixteen poses, and the flange's poses."""
    rng, found = np.random.default_rng(0), []
    middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
    for number in range(16):
        azimuth = number * np.pi / 2 + rng.uniform(-0.3, 0.3)
        turn = rotation_from_rotvec(0.5 * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
        turn = turn @ rotation_from_rotvec(np.array([0.0, 0.0, (number % 3 - 1) * 0.9]))
        seen = np.eye(4)
        seen[:3, :3] = turn
        distance_m = 0.36 + 0.03 * (number // 4)
        seen[:3, 3] = [*rng.uniform(-0.04, 0.04, 2), distance_m] - turn @ middle
        flange = BASE_FROM_BOARD @ inverse(seen) @ inverse(FLANGE_FROM_CAMERA)
        image = np.repeat(picture(seen)[:, :, None], 3, axis=2)
        found.append((image, pose_from_matrix(flange)))
    return found


def take(source, folder, *, needs_arm=True):
    lines = []
    done = take_views(
        source,
        folder,
        BOARD,
        TRUE,
        needs_arm=needs_arm,
        say=lines.append,
        sleep=lambda seconds: None,
    )
    return done, lines


def calibrated(folder, intrinsics, rig_board):
    """Return `flange_from_camera` as `carp calibrate hand-eye` finds it from a folder of views."""
    (fx, _, cx), (_, fy, cy) = intrinsics.matrix[:2].tolist()
    size_px = (intrinsics.width_px, intrinsics.height_px)
    whence = Provenance("ur5e_sim", date.today().isoformat(), "truth", "cell", 1)
    truth = CameraIntrinsics(
        "intrinsics", "wrist_cam", *size_px, (fx, fy), (cx, cy), (0.0,) * 5, 0.0, 0.0, whence
    )
    write_result(folder / "results" / "wrist_cam_intrinsics.yaml", truth)
    layout = folder / "board.yaml"
    layout.write_text(yaml.safe_dump(dataclasses.asdict(rig_board)), encoding="utf-8")
    options = [f"--folder={folder / 'results'}", f"--board={layout}", f"--rig={RIG}"]
    assert cli.run(["calibrate", "hand-eye", str(folder), "--camera=wrist_cam", *options]) == 0
    found = load_result(folder / "results" / "wrist_cam_pose.yaml", CameraPose)
    return matrix_from_pose(found.parent_from_camera)


def test_a_camera_is_found_from_views_that_were_taken_by_guidance(scenes, tmp_path):
    done, lines = take(FakeRig(scenes), tmp_path)
    assert done
    images = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(images) in (15, 16)
    assert set(load_poses(tmp_path / POSES)) == set(images)
    assert "taken: view_00.png" in lines
    assert any("of the image. Next, show the board around" in line for line in lines)
    metres, turn = distance(FLANGE_FROM_CAMERA, calibrated(tmp_path, TRUE, BOARD))
    assert metres < 0.003
    assert turn < np.radians(0.5)


def test_the_cells_camera_is_found_from_pictures_that_were_taken_by_guidance(tmp_path):
    cell = CalibrationCell(load_nominal_rig(RIG), "wrist_cam")
    try:
        views = cell.views(np.random.default_rng(3), 9)
    finally:
        cell.close()
    rig = FakeRig([(view.image, pose_from_matrix(view.base_from_flange)) for view in views], 7)
    take_views(rig, tmp_path, CELL_BOARD, cell.intrinsics, needs_arm=True, say=str)
    assert len(list(tmp_path.glob("*.png"))) >= 8
    found = calibrated(tmp_path, cell.intrinsics, CELL_BOARD)
    metres, turn = distance(cell.mount_from_camera, found)
    assert metres < 0.001
    assert turn < np.radians(0.1)


def test_ctrl_c_keeps_the_views_and_the_next_attempt_goes_on_with_them(scenes, tmp_path):
    done, lines = take(FakeRig(scenes[:3]), tmp_path)
    assert not done
    assert "3 views are kept" in lines[-1]
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert len(before) == len(load_poses(tmp_path / POSES)) == 3

    done, lines = take(FakeRig(scenes[2:5]), tmp_path)
    assert "3 views are in" in lines[0]
    after = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert len(after) == len(load_poses(tmp_path / POSES)) == 5  # the third was known
    assert {name: after[name] for name in before} == before


def test_pictures_are_kept_as_they_were_seen(scenes, tmp_path):
    take(FakeRig(scenes[:1]), tmp_path, needs_arm=False)
    saved = cv2.imread(str(tmp_path / "view_00.png"))
    np.testing.assert_array_equal(saved[:, :, ::-1], scenes[0][0])


def test_a_rig_that_sends_no_image_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(CalibrationError, match=r"no image for 5 s; expected the rig to be running"):
        take(SilentRig(), tmp_path)


def test_images_of_another_size_are_refused(scenes, tmp_path):
    large = dataclasses.replace(TRUE, width_px=640, height_px=480)
    with pytest.raises(CalibrationError, match="the camera sends 320 x 240 px; expected 640 x 480"):
        take_views(FakeRig(scenes), tmp_path, BOARD, large, needs_arm=False, say=str)


def flange_at(*rotvec):
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_rotvec(np.array(rotvec))
    return pose_from_matrix(pose)


def touch(poses, path, presses=100, speed_rad_s=0.0):
    asked, lines = [], []

    def confirmed(text):
        asked.append(text)
        return len(asked) <= presses

    rig = FakeRig([(pose, speed_rad_s) for pose in poses], still=50)
    done = take_touches(
        rig, path, confirmed=confirmed, say=lines.append, sleep=lambda seconds: None
    )
    return done, lines


def test_touches_are_taken_one_a_press_and_only_if_the_tool_is_tilted_anew(tmp_path):
    path = tmp_path / "tool" / "poses.yaml"
    tilted = [flange_at(0.2 * n, 0.0, 0.0) for n in range(ENOUGH_TOUCHES)]

    done, lines = touch([tilted[0], tilted[0], tilted[1]], path, presses=3)
    assert not done
    assert sum("tilted as before" in line for line in lines) == 1
    assert lines[-1] == f"2 poses are in {path}"

    done, _ = touch(tilted[1:], path)
    assert done
    assert len(load_poses(path)) == ENOUGH_TOUCHES


def test_no_touch_is_taken_of_an_arm_that_moves_or_is_not_there(tmp_path):
    path = tmp_path / "poses.yaml"
    _, lines = touch([flange_at(3.1, 0.0, 0.0)], path, presses=1, speed_rad_s=0.01)
    assert "hold still" in lines[0]
    assert not path.exists()
    with pytest.raises(CalibrationError, match="no state of the arm"):
        take_touches(
            SilentRig(), path, confirmed=lambda text: True, say=str, sleep=lambda seconds: None
        )


def test_a_board_that_is_moved_is_tracked_by_the_images_stamps(scenes):
    signal = track_board(FakeRig(scenes[:8], still=1), BoardDetector(BOARD), TRUE, seconds=0.55)
    assert signal.times_ns.tolist() == [STEP_NS * n for n in range(1, 7)]
    assert signal.values.shape == (6, 3)


def test_a_clock_that_is_set_back_ends_the_tracking_instead_of_prolonging_it(scenes):
    rig = FakeRig(scenes[:8], still=1)
    seen = rig.moment

    def set_back():
        if len(rig.scenes) == 4:
            rig.now_ns -= 3600 * 10**9
        return seen()

    rig.moment = set_back
    with pytest.raises(CalibrationError, match=r"went back by 3599\.9 s: a clock was set"):
        track_board(rig, BoardDetector(BOARD), TRUE, seconds=0.75)


def test_no_view_takes_the_name_of_a_pose_whose_image_was_deleted(scenes, tmp_path):
    take(FakeRig(scenes[:1]), tmp_path)
    (tmp_path / "view_00.png").unlink()
    take(FakeRig(scenes[1:2]), tmp_path, needs_arm=False)
    assert [path.name for path in tmp_path.glob("*.png")] == ["view_01.png"]


def test_an_arm_whose_speed_is_not_known_does_not_count_as_still(tmp_path):
    path = tmp_path / "poses.yaml"
    _, lines = touch([flange_at(3.1, 0.0, 0.0)], path, presses=1, speed_rad_s=float("nan"))
    assert "hold still" in lines[0]
    assert not path.exists()


def test_a_signal_is_read_back_as_it_was_written(tmp_path):
    times_ns = 1_790_000_000_000_000_000 + np.arange(400) * 25_000_000
    values = np.cumsum(np.random.default_rng(0).normal(size=(400, 3)), axis=0)
    write_signal(tmp_path / "a.csv", Signal(times_ns, values))
    read = load_signal(tmp_path / "a.csv")
    assert np.abs(read.times_ns - times_ns).max() < 1000
    np.testing.assert_allclose(read.values, values, rtol=1e-8)
