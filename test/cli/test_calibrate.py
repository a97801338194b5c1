"""Tests for `carp calibrate`: from images and poses on disk to a result that is read back."""

import cv2
import numpy as np
import pytest
import yaml

from carp_ros.calibrated.board import Board
from carp_ros.calibrated.result_file import (
    CameraIntrinsics,
    CameraPose,
    Latency,
    ToolTip,
    load_result,
)
from carp_ros.calibration.projection import project
from carp_ros.calibration.readings import load_board
from carp_ros.calibration.transforms import (
    distance,
    inverse,
    matrix_from_pose,
    pose_from_matrix,
    rotation_from_rotvec,
    transform,
)
from carp_ros.cli import main as cli
from carp_ros.types import Intrinsics

SIZE_PX = (320, 240)
TRUE = Intrinsics(*SIZE_PX, np.array([[300.0, 0, 162], [0, 298, 118], [0, 0, 1.0]]), "cam")
BOARD = Board(6, 5, 0.04, 0.032)
FLANGE_FROM_CAMERA = transform(np.array([0.0, 0.09, 0.03]), np.array([-0.3, 0.0, 0.1]))
BASE_FROM_BOARD = transform(np.array([0.4, 0.1, 0.0]), np.array([3.1, 0.1, 0.0]))


def picture(camera_from_board) -> np.ndarray:
    """Return the board as the camera sees it: its drawing, warped."""
    drawing = BOARD.opencv_board.generateImage((600, 500))
    corners_m = np.array(
        [
            [0, 0, 0],
            [BOARD.width_m, 0, 0],
            [BOARD.width_m, BOARD.height_m, 0],
            [0, BOARD.height_m, 0],
        ]
    )
    seen = corners_m @ camera_from_board[:3, :3].T + camera_from_board[:3, 3]
    places = project(seen, TRUE)[0].astype(np.float32)
    flat = np.array([[0, 0], [600, 0], [600, 500], [0, 500]], np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(flat, places * 4 + 1.5)
    large = cv2.warpPerspective(
        drawing, warp, (SIZE_PX[0] * 4, SIZE_PX[1] * 4), borderValue=255, flags=cv2.INTER_LINEAR
    )
    return cv2.resize(large, SIZE_PX, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder of twelve images, one of no board, one that is broken, with poses."""
    folder = tmp_path_factory.mktemp("images")
    rng, poses = np.random.default_rng(0), {}
    middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
    for number in range(12):
        azimuth, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.25, 0.6)
        turn = rotation_from_rotvec(tilt * np.array([np.cos(azimuth), np.sin(azimuth), 0.0]))
        seen = np.eye(4)
        seen[:3, :3] = turn
        seen[:3, 3] = [*rng.uniform(-0.06, 0.06, 2), rng.uniform(0.35, 0.45)] - turn @ middle
        name = f"{number:02d}.png"
        cv2.imwrite(str(folder / name), picture(seen))
        flange = BASE_FROM_BOARD @ inverse(seen) @ inverse(FLANGE_FROM_CAMERA)
        if number == 4:
            flange[:3, 3] += 0.03
        pose = pose_from_matrix(flange)
        poses[name] = {
            "position_m": pose.position.tolist(),
            "quaternion": pose.quaternion.tolist(),
        }
    cv2.imwrite(str(folder / "empty.png"), np.full(SIZE_PX[::-1], 200, np.uint8))
    (folder / "broken.png").write_bytes(b"no image")
    poses["empty.png"] = poses["broken.png"] = poses["00.png"]
    (folder / "poses.yaml").write_text(yaml.safe_dump({"poses": poses}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    path = tmp_path_factory.mktemp("board") / "board.png"
    options = ["--columns=6", "--rows=5", "--square-m=0.04", "--marker-m=0.032"]
    assert cli.run(["calibrate", "board", "--out", str(path), "--page=A3", *options]) == 0
    return path.with_suffix(".yaml")


def test_a_board_is_drawn_with_its_layout_and_may_be_drawn_again(layout):
    assert load_board(layout) == BOARD
    assert layout.with_suffix(".png").stat().st_size > 1000
    assert cli.run(["calibrate", "board", "--out", str(layout.with_suffix(".png"))]) == 0
    assert load_board(layout) == Board()
    layout.write_text("{columns: 6, rows: 5, square_m: 0.04, marker_m: 0.032}", encoding="utf-8")


def test_images_and_poses_on_disk_become_intrinsics_and_the_cameras_pose(
    images, layout, tmp_path, capsys
):
    common = ["--camera=wrist_cam", "--rig=ur5e_sim", f"--board={layout}", f"--folder={tmp_path}"]
    code = cli.run(["calibrate", "intrinsics", str(images), *common, "--serial-number=0123"])
    said = capsys.readouterr().out
    assert code == 0
    found = load_result(tmp_path / "wrist_cam_intrinsics.yaml", CameraIntrinsics)
    assert found.focal_px == pytest.approx((300, 298), rel=0.01)
    assert found.provenance.serial_number == "0123"
    assert found.provenance.readings == 12
    assert "broken.png" in said
    assert "empty.png does not show enough of the board" in said
    assert (tmp_path / "wrist_cam_intrinsics.png").stat().st_size > 1000

    code = cli.run(["calibrate", "hand-eye", str(images), *common])
    said = capsys.readouterr().out
    assert code == 0
    pose = load_result(tmp_path / "wrist_cam_pose.yaml", CameraPose)
    metres, radians = distance(FLANGE_FROM_CAMERA, matrix_from_pose(pose.parent_from_camera))
    assert metres < 0.003
    assert radians < np.radians(1.0)  # of few, small images
    assert pose.parent == "flange"
    assert pose.provenance.outliers == ("04.png",)
    assert "left out: 04.png disagrees with the others" in said


def test_intrinsics_of_another_size_than_the_rigs_are_refused(images, tmp_path, capsys, layout):
    small = tmp_path / "small"
    small.mkdir()
    image = cv2.imread(str(images / "00.png"))
    for number in range(6):
        cv2.imwrite(str(small / f"{number}.png"), cv2.resize(image, (640, 480)))
    options = ["--camera=wrist_cam", "--rig=ur5e_sim", f"--board={layout}", f"--folder={tmp_path}"]
    assert cli.run(["calibrate", "intrinsics", str(small), *options]) == 1
    assert "640 x 480 px, but cameras.wrist_cam of the rig has 320 x 240" in capsys.readouterr().err


def test_an_image_of_another_size_is_left_out_by_name_and_the_others_are_used(
    images, tmp_path, capsys, layout
):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in images.glob("*.png"):
        (mixed / path.name).write_bytes(path.read_bytes())
    cv2.imwrite(str(mixed / "large.png"), np.full((480, 640), 200, np.uint8))
    options = ["--camera=wrist_cam", "--rig=ur5e_sim", f"--board={layout}", f"--folder={tmp_path}"]
    assert cli.run(["calibrate", "intrinsics", str(mixed), *options]) == 0
    assert "large.png is 640 x 480 px; expected 320 x 240 px" in capsys.readouterr().out


def test_a_camera_that_the_rig_does_not_have_is_refused_as_its_result_would_stop_the_rig(
    images, tmp_path, capsys
):
    options = ["--camera=left_cam", "--rig=ur5e_sim", f"--folder={tmp_path}"]
    assert cli.run(["calibrate", "intrinsics", str(images), *options]) == 1
    assert "expected one that the rig has: wrist_cam, third_cam" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_the_rig_would_refuse_is_not_written_over_a_good_one(tmp_path, capsys):
    rng, poses = np.random.default_rng(0), {}
    for number in range(8):
        flange = transform(np.zeros(3), np.array([np.pi, 0, 0]) + rng.uniform(-0.6, 0.6, 3))
        flange[:3, 3] = [0.4, 0.0, 0.1] - flange[:3, :3] @ [0.0, 0.0, 0.16]
        flange[:3, 3] += 0.03 * rng.normal(size=3)  # the tip wandered
        pose = pose_from_matrix(flange)
        poses[f"p{number}"] = {
            "position_m": pose.position.tolist(),
            "quaternion": pose.quaternion.tolist(),
        }
    path = tmp_path / "poses.yaml"
    path.write_text(yaml.safe_dump({"poses": poses}), encoding="utf-8")
    before = tmp_path / "tool.yaml"
    before.write_text("a good one", encoding="utf-8")

    assert cli.run(["calibrate", "tool", str(path), f"--folder={tmp_path}"]) == 1

    assert before.read_text(encoding="utf-8") == "a good one"
    assert "no result is written, as the rig would refuse it" in capsys.readouterr().err


def test_a_pose_without_intrinsics_is_refused_by_the_missing_file(images, tmp_path, capsys):
    options = ["--camera=wrist_cam", f"--folder={tmp_path}"]
    assert cli.run(["calibrate", "camera-to-base", str(images), *options]) == 1
    assert "wrist_cam_intrinsics.yaml" in capsys.readouterr().err


def test_a_tool_is_found_from_poses_on_disk(tmp_path, capsys):
    rng, tip, poses = np.random.default_rng(0), np.array([0.0, 0.01, 0.16]), {}
    for number in range(8):
        flange = transform(np.zeros(3), np.array([np.pi, 0, 0]) + rng.uniform(-0.6, 0.6, 3))
        flange[:3, 3] = [0.4, 0.0, 0.1] - flange[:3, :3] @ tip
        if number == 5:
            flange[:3, 3] += 0.02
        pose = pose_from_matrix(flange)
        poses[f"p{number}"] = {
            "position_m": pose.position.tolist(),
            "quaternion": pose.quaternion.tolist(),
        }
    path = tmp_path / "poses.yaml"
    path.write_text(yaml.safe_dump({"poses": poses}), encoding="utf-8")

    assert cli.run(["calibrate", "tool", str(path), f"--folder={tmp_path}"]) == 0

    found = load_result(tmp_path / "tool.yaml", ToolTip)
    assert found.position_m == pytest.approx(tuple(tip), abs=1e-6)
    assert found.provenance.outliers == ("p5",)
    assert "left out: p5 disagrees" in capsys.readouterr().out


def test_a_latency_is_measured_from_two_recordings(tmp_path, capsys):
    times_s = np.arange(0.0, 8.0, 0.01)
    for name, delay_s in (("first", 0.0), ("second", 0.08)):
        at_s = times_s - delay_s
        moved = np.sin(2 * np.pi * (0.3 * at_s + 0.07 * at_s**2))
        np.savetxt(
            tmp_path / f"{name}.csv",
            np.column_stack([times_s, moved]),
            delimiter=",",
            header="time_s,x_m",
            comments="",
        )
    files = [str(tmp_path / f"{name}.csv") for name in ("first", "second")]
    options = [f"--folder={tmp_path}", "--rig=ur5e_sim"]

    assert cli.run(["calibrate", "latency", *files, "--device=action", *options]) == 0

    found = load_result(tmp_path / "action_latency.yaml", Latency)
    assert found.latency_s == pytest.approx(0.08, abs=0.001)
    assert "latency       80." in capsys.readouterr().out
    assert cli.run(["calibrate", "latency", *files, "--device=arm", *options]) == 1
    assert "expected one of wrist_cam, third_cam, action, gripper" in capsys.readouterr().err
