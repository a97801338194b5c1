import dataclasses

import numpy as np
import pytest

from carp_ros.calibration.board import BoardView
from carp_ros.calibration.intrinsics import IntrinsicsFit, calibrate_intrinsics
from carp_ros.calibration.transforms import rotation_from_rotvec
from carp_ros.errors import CalibrationError

from .synthetic import BOARD, SIZE_PX, TRUE, board_poses, view_of


def views_of(seed: int, noise_px: float, n: int = 15) -> list[BoardView]:
    rng = np.random.default_rng(seed)
    return [
        view_of(f"{number:02d}.png", pose, rng, noise_px)
        for number, pose in enumerate(board_poses(rng, n))
    ]


def solve(views: list[BoardView]) -> IntrinsicsFit:
    return calibrate_intrinsics(views, BOARD, SIZE_PX, TRUE.frame)


def test_exact_views_give_the_exact_camera_with_its_distortion():
    fit = solve(views_of(0, noise_px=0.0))

    assert fit.intrinsics.matrix == pytest.approx(TRUE.matrix, abs=0.02)
    assert fit.intrinsics.distortion == pytest.approx(TRUE.distortion, abs=1e-3)
    assert (fit.intrinsics.width_px, fit.intrinsics.height_px) == SIZE_PX
    assert fit.residual_px < 1e-3
    assert fit.outliers == ()


@pytest.mark.parametrize("seed", range(4))
def test_noisy_views_give_the_camera_within_half_a_percent(seed):
    fit = solve(views_of(seed, noise_px=0.15))

    apart = np.abs(fit.intrinsics.matrix - TRUE.matrix)
    assert max(apart[0, 0], apart[1, 1]) < min(0.005 * TRUE.matrix[0, 0], 5 * fit.focal_std_px)
    assert max(apart[0, 2], apart[1, 2]) < min(0.005 * SIZE_PX[0], 5 * fit.centre_std_px)
    assert fit.residual_px == pytest.approx(0.15 * 2**0.5, rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_two_bad_views_of_fifteen_are_named_and_do_no_harm(seed):
    views = views_of(seed, noise_px=0.15)
    rng = np.random.default_rng(seed)
    first, second = rng.choice(15, 2, replace=False)
    # a picture of a moving board, line by line; and one that is blurred
    sheared = views[first].corners_px + 0.05 * views[first].corners_px[:, ::-1] * [1.0, 0.0]
    views[first] = dataclasses.replace(views[first], corners_px=sheared)
    blurred = views[second].corners_px + 2.0 * rng.normal(size=views[second].corners_px.shape)
    views[second] = dataclasses.replace(views[second], corners_px=blurred)

    fit = solve(views)

    assert set(fit.outliers) == {views[first].name, views[second].name}
    assert fit.intrinsics.matrix[0, 0] == pytest.approx(TRUE.matrix[0, 0], rel=0.005)
    assert min(fit.view_errors_px[name] for name in fit.outliers) > 0.5


def test_too_few_views_are_refused():
    with pytest.raises(CalibrationError, match=r"5 views of the board; expected 6"):
        solve(views_of(0, 0.1, n=5))


def test_a_board_that_was_never_tilted_is_refused():
    rng = np.random.default_rng(0)
    poses = []
    for number in range(10):
        pose = np.eye(4)
        pose[:3, :3] = rotation_from_rotvec(np.array([0.02, 0.03, 0.1 * number]))
        pose[:3, 3] = [-0.13, -0.08, 0.4]
        poses.append(pose)
    with pytest.raises(CalibrationError, match=r"tilt"):
        solve([view_of(str(n), pose, rng, 0.1) for n, pose in enumerate(poses)])
