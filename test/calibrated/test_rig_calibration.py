"""Tests for rig_calibration.py: which results of calibrations a rig may use, and why not."""

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from carp_ros.calibrated.result_file import write_result
from carp_ros.calibrated.rig_calibration import judged_calibration
from carp_ros.geometry import compose
from carp_ros.rig_cameras import CellCameraConfig, ExternalCameraConfig
from carp_ros.rig_sections import CalibrationConfig
from carp_ros.types import Pose

from .test_result_file import RESULTS

INTRINSICS, WRIST_POSE, TOOL, LATENCY = RESULTS
FIXED_POSE = dataclasses.replace(WRIST_POSE, camera="third_cam", parent="base")
CAMERAS = {
    "wrist_cam": CellCameraConfig(width_px=640, height_px=480),
    "third_cam": ExternalCameraConfig(width_px=640, height_px=480),
}
ALL = {
    "wrist_cam_intrinsics": INTRINSICS,
    "wrist_cam_pose": WRIST_POSE,
    "third_cam_pose": FIXED_POSE,
    "wrist_cam_latency": LATENCY,
    "tool": TOOL,
}
DAY = date.fromisoformat(TOOL.provenance.date)
RULES = CalibrationConfig()
FOLDER = Path("calibration/ur5e")


def as_plain(result, tmp_path):
    write_result(tmp_path / "result.yaml", result)
    return yaml.safe_load((tmp_path / "result.yaml").read_text(encoding="utf-8"))


def judged(results, tmp_path, rules=RULES):
    files = {name: as_plain(result, tmp_path) for name, result in results.items()}
    return judged_calibration(files, FOLDER, "ur5e", CAMERAS, rules, DAY)


def with_provenance(result, **changes):
    return dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, **changes))


def test_what_was_calibrated_is_found_by_camera_and_what_was_not_is_absent(tmp_path):
    found = judged(ALL, tmp_path)

    assert found.intrinsics == {"wrist_cam": INTRINSICS}
    assert found.latencies == {"wrist_cam": LATENCY}
    assert found.tool == TOOL
    assert found.base_from_camera("wrist_cam") is None
    assert found.base_from_camera("third_cam").position.tolist() == [0.01, 0.09, 0.03]
    assert found.files == ALL
    assert found.dates == dict.fromkeys(ALL, "2026-01-31")


def test_a_wrist_cameras_pose_follows_the_tool_that_the_rig_has(tmp_path):
    found = judged(ALL, tmp_path)
    flange_from_tcp = Pose(np.array([0.0, 0.02, 0.16]), np.array([0.0, 0.0, 0.6, 0.8]))

    tool_from_camera = found.tool_from_camera("wrist_cam", flange_from_tcp)

    again = compose(flange_from_tcp, tool_from_camera)
    assert again.position == pytest.approx([0.01, 0.09, 0.03])
    assert again.quaternion == pytest.approx([0.0, 0.6, 0.0, 0.8])
    assert found.tool_from_camera("third_cam", flange_from_tcp) is None


def test_a_rig_without_results_has_no_calibration(tmp_path):
    assert judged({}, tmp_path).files == {}


@pytest.mark.parametrize(
    ("name", "result", "reason"),
    [
        ("tool", with_provenance(TOOL, rig="ur5e_2"), r"on the rig 'ur5e_2'; expected 'ur5e'"),
        ("tool", with_provenance(TOOL, date="2025-01-31"), r"is 365 days old .*max_age_days, 180"),
        ("tool", with_provenance(TOOL, date="2026-02-03"), "from 3 days in the future"),
        ("tool", dataclasses.replace(TOOL, position_std_mm=3.5), r"error of 3\.5 mm; expected"),
        (
            "wrist_cam_intrinsics",
            dataclasses.replace(INTRINSICS, width_px=1280, height_px=720),
            "1280x720 px, but cameras.wrist_cam has 640x480 px",
        ),
        ("wrist_cam_intrinsics", with_provenance(INTRINSICS, residual_px=2.5), r"2\.5 px"),
        ("wrist_cam_pose", dataclasses.replace(WRIST_POSE, rotation_std_deg=1.2), r"1\.2 deg"),
        ("wrist_cam_latency", dataclasses.replace(LATENCY, std_s=0.02), r"0\.02 s; expected"),
        (
            "third_cam_latency",
            dataclasses.replace(LATENCY, device="third_cam"),
            "made by a driver outside",
        ),
    ],
)
def test_a_result_that_may_not_be_used_is_refused_by_name_with_the_remedy(
    name, result, reason, tmp_path
):
    with pytest.raises(ValueError, match=rf"ur5e/{name}\.yaml: .*{reason}.*anew \(carp calibrate"):
        judged({**ALL, name: result}, tmp_path)


def test_the_oldest_and_the_newest_day_that_are_allowed_are_accepted(tmp_path):
    for day in ("2025-08-04", "2026-02-01"):
        results = {"tool": with_provenance(TOOL, date=day)}
        assert judged(results, tmp_path).tool is not None


def test_a_result_under_another_ones_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"third_cam_pose\.yaml: holds wrist_cam_pose"):
        judged({"third_cam_pose": WRIST_POSE}, tmp_path)


def test_a_result_of_a_camera_that_the_rig_does_not_have_is_refused(tmp_path):
    other = dataclasses.replace(WRIST_POSE, camera="left_cam")
    with pytest.raises(ValueError, match=r"left_cam_pose\.yaml: is of the camera 'left_cam'"):
        judged({"left_cam_pose": other}, tmp_path)


def test_a_damaged_result_is_refused_by_name():
    files = {"third_cam_pose": {"kind": "camera_pose"}}
    with pytest.raises(ValueError, match=r"third_cam_pose\.yaml: key 'camera' is missing"):
        judged_calibration(files, FOLDER, "ur5e", CAMERAS, RULES, DAY)


def test_a_result_that_the_rig_requires_may_not_be_missing(tmp_path):
    rules = CalibrationConfig(required=("tool", "third_cam_intrinsics"))
    with pytest.raises(ValueError, match=r"third_cam_intrinsics\.yaml is missing, but"):
        judged(ALL, tmp_path, rules)


def test_a_cameras_serial_numbers_are_those_that_its_results_name(tmp_path):
    results = {**ALL, "wrist_cam_pose": with_provenance(WRIST_POSE, serial_number="")}
    numbers = judged(results, tmp_path).serial_numbers("wrist_cam")
    assert numbers == {"wrist_cam_intrinsics": "0123", "wrist_cam_latency": "0123"}
