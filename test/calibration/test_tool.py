import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.calibration.tool import NamedPose, calibrate_tool
from carp_ros.calibration.transforms import pose_from_matrix, rotation_from_rotvec, transform
from carp_ros.errors import CalibrationError
from carp_ros.types import Array

TIP, PIVOT = np.array([0.011, -0.023, 0.162]), np.array([0.45, 0.1, 0.03])


def pivoted(seed: int, noise_m: float, n: int = 12, tilt_rad: float = 0.6) -> list[Array]:
    rng = np.random.default_rng(seed)
    down = rotation_from_rotvec(np.array([np.pi, 0.0, 0.0]))
    poses = []
    for _ in range(n):
        tilt = np.array([*rng.uniform(-tilt_rad, tilt_rad, 2), rng.uniform(-1.5, 1.5)])
        pose = transform(np.zeros(3), np.zeros(3))
        pose[:3, :3] = down @ rotation_from_rotvec(tilt)
        pose[:3, 3] = PIVOT - pose[:3, :3] @ TIP + noise_m * rng.normal(size=3)
        poses.append(pose)
    return poses


def named(poses: list[Array]) -> list[NamedPose]:
    return [NamedPose(f"p{n}", pose_from_matrix(pose)) for n, pose in enumerate(poses)]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_exact_poses_give_tip_and_pivot(seed):
    fit = calibrate_tool(named(pivoted(seed, 0.0)))

    assert fit.tip_m == pytest.approx(TIP, abs=1e-9)
    assert fit.pivot_m == pytest.approx(PIVOT, abs=1e-9)
    assert fit.outliers == ()


@pytest.mark.parametrize("seed", range(5))
def test_two_bad_poses_are_named_and_the_tip_is_within_its_standard_error(seed):
    poses = pivoted(seed, 0.0003)
    poses[3][:3, 3] += [0.005, 0.0, 0.003]
    poses[7][:3, :3] = poses[7][:3, :3] @ rotation_from_rotvec(np.array([0.08, 0.0, 0.0]))

    fit = calibrate_tool(named(poses))

    assert set(fit.outliers) == {"p3", "p7"}
    error_m = float(np.linalg.norm(fit.tip_m - TIP))
    assert error_m < min(0.002, 5.0 * fit.position_std_m)
    assert fit.residual_mm < 1.0
    assert min(fit.pose_errors_mm["p3"], fit.pose_errors_mm["p7"]) > 2.0


def test_a_tool_that_was_hardly_tilted_is_refused():
    with pytest.raises(CalibrationError, match=r"hardly tilted.*tilt it by 30 deg"):
        calibrate_tool(named(pivoted(0, 0.0001, tilt_rad=0.02)))


def test_too_few_poses_are_refused():
    with pytest.raises(CalibrationError, match=r"4 poses.*expected 5"):
        calibrate_tool(named(pivoted(0, 0.0, n=4)))
