"""Draws calibrations of the cell for doc/: `python -m bench.calibration.pictures`."""

from __future__ import annotations

import sys

import numpy as np

from bench.calibration.__main__ import bad_step, pose_fit
from bench.calibration.views import (
    ARM_STD_M,
    ARM_STD_RAD,
    BOARD,
    SIZE_PX,
    CalibrationCell,
    with_arm_noise,
)
from carp_ros.calibration.coverage import coverage_of
from carp_ros.calibration.pictures import write_fit_picture
from carp_ros.calibration.projection import view_error_px
from carp_ros.calibration.transforms import inverse, matrix_from_pose, moved
from carp_ros.rig import load_rig
from carp_ros.share import share_folder

_VIEWS, _BAD = 15, (4, 9)


def main() -> int:
    """Draw the wrist camera's calibration from 15 views, with two bad poses; return 0."""
    rng = np.random.default_rng(0)
    cell = CalibrationCell(load_rig(share_folder() / "config" / "ur5e_sim.yaml"), "wrist_cam")
    views = cell.views(rng, _VIEWS, is_guided=True)
    cell.close()
    flanges = [with_arm_noise(view, rng, ARM_STD_M, ARM_STD_RAD) for view in views]
    for number in _BAD:
        flanges[number] = moved(flanges[number], bad_step(rng))
    fit = pose_fit(cell, views, flanges, cell.intrinsics)
    camera_from_flange = inverse(matrix_from_pose(fit.mount_from_camera))
    base_from_board = matrix_from_pose(fit.carrier_from_board)
    seen = [view.view for view in views]
    errors = {
        view.name: view_error_px(
            view, BOARD, cell.intrinsics, camera_from_flange @ inverse(flange) @ base_from_board
        )
        for view, flange in zip(seen, flanges)
    }
    path = share_folder() / "doc" / "calibrate_hand_eye.png"
    write_fit_picture(path, seen, errors, fit.outliers, coverage_of(seen, SIZE_PX))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
