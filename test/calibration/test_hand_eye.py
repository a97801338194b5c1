import dataclasses

import numpy as np
import pytest

from carp_ros.calibration.arm_problem import ArmProblem, Constants
from carp_ros.calibration.hand_eye import (
    ArmView,
    HandEyeFit,
    calibrate_fixed_camera,
    calibrate_wrist_camera,
)
from carp_ros.calibration.projection import camera_from_board
from carp_ros.calibration.transforms import (
    distance,
    matrix_from_pose,
    moved,
    pose_from_matrix,
    transform,
)
from carp_ros.errors import CalibrationError
from carp_ros.types import Pose

from .synthetic import BOARD, TRUE, hand_eye_truth, view_of


def solve(views: list[ArmView], is_fixed: bool) -> HandEyeFit:
    calibrate = calibrate_fixed_camera if is_fixed else calibrate_wrist_camera
    return calibrate(views, BOARD, TRUE)


def displaced(view: ArmView, rng: np.random.Generator, metres: float, radians: float) -> ArmView:
    """Return a view whose arm pose is off by so much, in a random direction."""
    place, turn = rng.normal(size=3), rng.normal(size=3)
    step = np.concatenate(
        [metres * place / np.linalg.norm(place), radians * turn / np.linalg.norm(turn)]
    )
    pose = pose_from_matrix(moved(matrix_from_pose(view.base_from_flange), step))
    return dataclasses.replace(view, base_from_flange=pose)


@pytest.mark.parametrize("is_fixed", [False, True], ids=["wrist", "fixed"])
@pytest.mark.parametrize("seed", [0, 1])
def test_exact_views_give_the_exact_truth_for_camera_and_board(seed, is_fixed):
    truth = hand_eye_truth(seed, is_fixed=is_fixed, noise_px=0.0, noise_m=0.0, noise_rad=0.0)

    fit = solve(truth.views, is_fixed)

    for found, true in (
        (fit.mount_from_camera, truth.mount_from_camera),
        (fit.carrier_from_board, truth.carrier_from_board),
    ):
        metres, radians = distance(true, matrix_from_pose(found))
        assert metres < 1e-6
        assert radians < 1e-6
    assert fit.residual.px < 1e-4
    assert fit.outliers == ()


@pytest.mark.parametrize("is_fixed", [False, True], ids=["wrist", "fixed"])
@pytest.mark.parametrize("seed", range(4))
def test_noisy_views_give_the_truth_within_the_standard_error_that_is_told(seed, is_fixed):
    truth = hand_eye_truth(seed, is_fixed=is_fixed, noise_m=0.0005, noise_rad=np.radians(0.05))

    fit = solve(truth.views, is_fixed)

    metres, radians = distance(truth.mount_from_camera, matrix_from_pose(fit.mount_from_camera))
    assert metres < min(0.002, 5.0 * fit.position_std_m)
    assert radians < min(np.radians(0.3), 5.0 * fit.rotation_std_rad)
    # and it is not told larger than it is, either
    assert fit.position_std_m < 0.0015
    assert fit.rotation_std_rad < np.radians(0.15)


@pytest.mark.parametrize("is_fixed", [False, True], ids=["wrist", "fixed"])
@pytest.mark.parametrize("seed", range(4))
def test_two_bad_poses_of_fifteen_are_named_and_do_no_harm(seed, is_fixed):
    truth = hand_eye_truth(seed, is_fixed=is_fixed)
    rng = np.random.default_rng(seed)
    views, bad = list(truth.views), rng.choice(15, 2, replace=False)
    for number, metres in zip(bad, (0.008, 0.05)):
        views[number] = displaced(views[number], rng, metres, np.radians(2.0))

    fit = solve(views, is_fixed)

    assert set(fit.outliers) == {views[number].view.name for number in bad}
    metres, radians = distance(truth.mount_from_camera, matrix_from_pose(fit.mount_from_camera))
    assert metres < 0.002
    assert radians < np.radians(0.3)
    assert all(fit.view_residuals[name].deg > 1.0 for name in fit.outliers)
    assert fit.residual.mm < 3.0


@pytest.mark.parametrize("is_fixed", [False, True], ids=["wrist", "fixed"])
@pytest.mark.parametrize("n", [2, 5])
def test_grossly_wrong_poses_are_named_like_any_others(n, is_fixed):
    truth = hand_eye_truth(0, is_fixed=is_fixed)
    rng, views = np.random.default_rng(n), list(truth.views)
    for number in range(n):
        quaternion = rng.normal(size=4)
        pose = Pose(rng.normal(size=3), quaternion / np.linalg.norm(quaternion))
        views[number] = dataclasses.replace(views[number], base_from_flange=pose)

    fit = solve(views, is_fixed)

    assert set(fit.outliers) == {view.view.name for view in views[:n]}
    metres, _ = distance(truth.mount_from_camera, matrix_from_pose(fit.mount_from_camera))
    assert metres < 0.002


def test_corners_that_no_pose_explains_do_no_harm_to_the_other_views():
    truth = hand_eye_truth(0)
    rng, views = np.random.default_rng(0), list(truth.views)
    for number in range(2):
        view = views[number].view
        nonsense = rng.uniform(0.0, 480.0, view.corners_px.shape)
        view = dataclasses.replace(view, corners_px=nonsense)
        views[number] = dataclasses.replace(views[number], view=view)
    assert solve(views, False).outliers == ("00.png", "01.png")


def test_a_wrong_pose_is_no_turn_about_a_second_axis():
    truth = hand_eye_truth(0)
    rng, views = np.random.default_rng(0), []
    first = matrix_from_pose(truth.views[0].base_from_flange)
    for n in range(15):
        flange = first @ transform(
            np.array([0.01 * np.cos(n), 0.01, 0.0]), np.array([0, 0, 0.06 * (n - 7)])
        )
        seen = (
            np.linalg.inv(truth.mount_from_camera)
            @ np.linalg.inv(flange)
            @ truth.carrier_from_board
        )
        if n == 3:
            flange = flange @ transform(np.zeros(3), np.array([1.2, 0.0, 0.0]))
        views.append(ArmView(view_of(f"{n}.png", seen, rng, 0.15), pose_from_matrix(flange)))
    with pytest.raises(CalibrationError, match="one axis only"):
        solve(views, False)


def test_the_order_of_views_does_not_matter():
    truth = hand_eye_truth(3)

    one, other = (solve(views, False) for views in (truth.views, truth.views[::-1]))

    metres, radians = distance(
        matrix_from_pose(one.mount_from_camera), matrix_from_pose(other.mount_from_camera)
    )
    assert metres < 1e-5
    assert radians < 1e-4


def test_too_few_views_are_refused():
    with pytest.raises(CalibrationError, match=r"5 views .* expected 6 at least"):
        solve(hand_eye_truth(0, n=5).views, False)


def test_poses_that_turn_about_one_axis_only_are_refused():
    truth = hand_eye_truth(0)
    about_z = [
        dataclasses.replace(
            view,
            base_from_flange=pose_from_matrix(
                transform(np.array([0.4, 0.01 * n, 0.4]), np.array([0.0, 0.0, 0.1 * n]))
            ),
        )
        for n, view in enumerate(truth.views)
    ]
    with pytest.raises(CalibrationError, match=r"one axis only.*tilt the tool about two axes"):
        solve(about_z, False)


def test_poses_of_other_views_are_refused_rather_than_fitted():
    views = hand_eye_truth(0).views
    poses = [view.base_from_flange for view in views]
    shuffled = [
        dataclasses.replace(view, base_from_flange=poses[(3 * n + 1) % 15])
        for n, view in enumerate(views)
    ]
    with pytest.raises(
        CalibrationError, match=r"agree within .* deg only; expected|agree with each other"
    ):
        solve(shuffled, False)


def test_the_derivatives_are_those_of_the_errors():
    truth = hand_eye_truth(1, n=6)
    arm = np.array([matrix_from_pose(view.base_from_flange) for view in truth.views])
    views = [view.view for view in truth.views]
    problem = ArmProblem(arm, views, BOARD, TRUE, is_on_wrist=False)
    here = Constants(moved(truth.mount_from_camera, np.full(6, 0.01)), truth.carrier_from_board)
    arm[2] = (
        truth.mount_from_camera
        @ camera_from_board(views[2], BOARD, TRUE)
        @ (np.linalg.inv(truth.carrier_from_board))
    )
    errors, by_step, by_arm = problem._linearised(here, 2)
    tiny = 1e-6
    for axis in range(20):
        step = tiny * np.eye(20)[axis]
        there = Constants(moved(here.camera, step[:6]), moved(here.board, step[6:12]), step[12:])
        slope = (problem._linearised(there, 2)[0] - errors) / tiny
        assert slope == pytest.approx(by_step[:, axis], rel=1e-3, abs=0.05)
    before = arm[2].copy()
    for axis in range(6):
        arm[2] = moved(before, tiny * np.eye(6)[axis])
        by_place = before[:3, :3] if axis < 3 else np.eye(3)
        slope = (problem._linearised(here, 2)[0] - errors) / tiny
        # `moved` shifts in the parent's axes; the flange's error is in its own
        expected = by_arm[:, :3] @ by_place.T[:, axis % 3] if axis < 3 else by_arm[:, axis]
        assert slope == pytest.approx(expected, rel=1e-3, abs=0.05)
