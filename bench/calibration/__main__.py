"""Calibrates the simulated cell, and compares with the truth: `python -m bench.calibration`.

For each seed: 15 pictures of a board by each camera, from about the poses that the guide asks for
(`--random-poses`: tilted up to 37 deg, turned up to 29 deg), with noise in pictures and poses.
Intrinsics come from the pictures, the camera's pose from pictures, noisy poses and those
intrinsics. Then two readings of the 15 are made bad, once the poses and once the pictures.
Latencies come from a motion of the arm, with delays put in.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.calibration.latencies import latency_row
from bench.calibration.views import (
    ARM_STD_M,
    ARM_STD_RAD,
    BOARD,
    SIZE_PX,
    CalibrationCell,
    CellView,
    with_arm_noise,
)
from carp_ros.calibration.board import Image
from carp_ros.calibration.hand_eye import (
    ArmView,
    HandEyeFit,
    calibrate_fixed_camera,
    calibrate_wrist_camera,
)
from carp_ros.calibration.intrinsics import calibrate_intrinsics
from carp_ros.calibration.transforms import distance, matrix_from_pose, moved, pose_from_matrix
from carp_ros.evaluation.report import heading, write_report
from carp_ros.rig import load_rig
from carp_ros.share import share_folder, version
from carp_ros.types import Array, Intrinsics

_RESULTS = Path(__file__).parents[1] / "results" / "calibration.json"
_VIEWS, _BAD = 15, 2
_BAD_M, _BAD_RAD = 0.01, np.radians(2.0)
_SHEAR = 0.05


def main() -> int:
    """Write the report; return the exit code."""
    parser = ArgumentParser(prog="python -m bench.calibration")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--report", type=Path, default=_RESULTS)
    parser.add_argument(
        "--go-on", action="store_true", help="keep the seeds that the report has, add the others"
    )
    parser.add_argument(
        "--random-poses", action="store_true", help="ignore the guide, and turn the board little"
    )
    arguments = parser.parse_args()
    rig = load_rig(share_folder() / "config" / "ur5e_sim.yaml")
    load, start_s = os.getloadavg()[0], time.process_time()
    cells = [CalibrationCell(rig, camera) for camera in ("wrist_cam", "third_cam")]
    rows: dict[str, list[dict[str, Any]]] = {"wrist_cam": [], "third_cam": [], "latency": []}
    before_s = 0.0
    if arguments.go_on and arguments.report.exists():
        report = json.loads(arguments.report.read_text(encoding="utf-8"))
        rows, before_s = report["rows"], report["cpu_s"]
    for seed in range(len(rows["latency"]), arguments.seeds):
        for cell in cells:
            rows[cell.camera].append(_row(cell, seed, is_guided=not arguments.random_poses))
        rows["latency"].append(latency_row(rig, seed))
        print(*(f"{name} {found[-1]}" for name, found in rows.items()), sep="\n", flush=True)
        content = {
            **heading(["python", "-m", "bench.calibration", *sys.argv[1:]], version()),
            "load": load,
            "cpu_s": round(before_s + time.process_time() - start_s, 1),
            "views": _VIEWS,
            "arm_noise": {"mm": 1e3 * ARM_STD_M, "deg": round(float(np.degrees(ARM_STD_RAD)), 4)},
            "summary": {name: _summary(found) for name, found in rows.items()},
            "rows": rows,
        }
        write_report(arguments.report, content)  # whole after each seed: it may be stopped
    for cell in cells:
        cell.close()
    return 0


def _row(cell: CalibrationCell, seed: int, *, is_guided: bool) -> dict[str, Any]:
    """Calibrate one camera with one seed, and return the errors."""
    rng = np.random.default_rng([seed, cell.camera == "wrist_cam"])
    views = cell.views(rng, _VIEWS, is_guided=is_guided)
    seen = [view.view for view in views]
    fit = calibrate_intrinsics(seen, BOARD, SIZE_PX, cell.intrinsics.frame)
    flanges = [with_arm_noise(view, rng, ARM_STD_M, ARM_STD_RAD) for view in views]
    lens_std_px = (fit.focal_std_px, fit.centre_std_px)
    pose = pose_fit(cell, views, flanges, fit.intrinsics, lens_std_px)
    bad = sorted(rng.choice(_VIEWS, _BAD, replace=False).tolist())
    names = {seen[number].name for number in bad}
    for number in bad:
        flanges[number] = moved(flanges[number], bad_step(rng))
    spoilt = pose_fit(cell, views, flanges, fit.intrinsics, lens_std_px)
    for number in bad:
        sheared = cell.detect(seen[number].name, _sheared(views[number].image))
        assert sheared is not None
        seen[number] = sheared
    blurred = calibrate_intrinsics(seen, BOARD, SIZE_PX, cell.intrinsics.frame)
    return {
        "seed": seed,
        **_intrinsics_error(fit.intrinsics, cell.intrinsics),
        "residual_px": round(fit.residual_px, 4),
        **_pose_error(pose, cell.mount_from_camera),
        "good_left_out": len(pose.outliers) + len(fit.outliers),
        "bad_poses_found": set(spoilt.outliers) == names,
        **_pose_error(spoilt, cell.mount_from_camera, "_with_bad_poses"),
        "bad_pictures_found": set(blurred.outliers) == names,
        **_intrinsics_error(blurred.intrinsics, cell.intrinsics, "_with_bad_pictures"),
    }


def pose_fit(
    cell: CalibrationCell,
    views: list[CellView],
    flanges: list[Array],
    intrinsics: Intrinsics,
    lens_std_px: tuple[float, float] | None = None,
) -> HandEyeFit:
    """Find a cell's camera from views, and the flange's poses that the arm reports."""
    arm_views = [ArmView(v.view, pose_from_matrix(flange)) for v, flange in zip(views, flanges)]
    is_on_wrist = cell.camera == "wrist_cam"
    calibrate = calibrate_wrist_camera if is_on_wrist else calibrate_fixed_camera
    return calibrate(arm_views, BOARD, intrinsics, lens_std_px)


def _pose_error(fit: HandEyeFit, truth: Array, suffix: str = "") -> dict[str, float]:
    metres, turn = distance(truth, matrix_from_pose(fit.mount_from_camera))
    return {
        f"pose_mm{suffix}": round(1e3 * metres, 3),
        f"pose_deg{suffix}": round(float(np.degrees(turn)), 4),
    }


def _intrinsics_error(found: Intrinsics, truth: Intrinsics, suffix: str = "") -> dict[str, float]:
    """Return errors in percent: of the focal length, and of the principal point by image width."""
    apart = np.abs(found.matrix - truth.matrix)
    return {
        f"focal_percent{suffix}": round(
            100 * float(max(apart[0, 0], apart[1, 1]) / truth.matrix[0, 0]), 4
        ),
        f"centre_percent{suffix}": round(
            100 * float(max(apart[0, 2], apart[1, 2]) / truth.width_px), 4
        ),
    }


def bad_step(rng: np.random.Generator) -> Array:
    """Return an error of 10 mm and 2 deg in random directions: an arm that still moved, say."""
    place, turn = rng.normal(size=3), rng.normal(size=3)
    return np.concatenate(
        [_BAD_M * place / np.linalg.norm(place), _BAD_RAD * turn / np.linalg.norm(turn)]
    )


def _sheared(image: Image) -> Image:
    """Return a picture as a rolling shutter takes it in motion: each line further to the right."""
    height, width = image.shape[:2]
    shear = np.array([[1.0, _SHEAR, -_SHEAR * height / 2], [0.0, 1.0, 0.0]])
    return np.asarray(cv2.warpAffine(image, shear, (width, height)), np.uint8)


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return median and worst of the errors, and how often what was bad was found."""
    summary: dict[str, Any] = {"seeds": len(rows)}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if name == "seed":
            continue
        if isinstance(values[0], bool):
            summary[name] = f"{sum(values)} of {len(values)}"
        else:
            summary[name] = {"median": round(float(np.median(values)), 4), "worst": max(values)}
    return summary


if __name__ == "__main__":
    sys.exit(main())
