"""Tests for checks/calibration.py: `carp check <rig>` shows each result's age and residual."""

from datetime import date, timedelta

import pytest

from carp_ros.calibrated.result_file import Latency, Provenance, ToolTip, write_result
from carp_ros.checks.calibration import calibration_checks
from carp_ros.rig import load_nominal_rig
from carp_ros.share import share_folder


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ur5e_sim.yaml"
    shipped = share_folder() / "config" / path.name
    path.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def whence(age_days=3):
    day = (date.today() - timedelta(days=age_days)).isoformat()
    return Provenance("ur5e_sim", day, "method", "source", 11, ("a", "b"), residual_mm=0.213)


def write(path, name, result):
    write_result(path.parent / "calibration" / "ur5e_sim" / f"{name}.yaml", result)


def looked(path):
    return {check.name: check.look() for check in calibration_checks(load_nominal_rig(path))}


def test_age_and_residual_of_each_result_are_shown(path):
    write(path, "tool", ToolTip("tool", (0.0, 0.0, 0.157), 0.1, whence()))
    write(path, "action_latency", Latency("latency", "action", 0.0412, 0.0003, 0.99, whence(1)))

    found = looked(path)

    assert found["tool"].found == "3 days old, 0.213 mm, 11 readings, 2 left out"
    assert found["action_latency"].found.startswith("1 day old, 41.2 ms, standard error 0.3 ms")
    assert not found["tool"].remedy
    assert "wrist_cam_pose" in found["calibration"].found
    assert "tool" not in found["calibration"].found.split(": ")[1].split(", ")
    assert not found["rig"].remedy


def test_a_result_that_is_too_old_is_shown_with_its_age_and_the_remedy(path):
    write(path, "tool", ToolTip("tool", (0.0, 0.0, 0.157), 0.1, whence(200)))
    found = looked(path)
    assert found["tool"].found.startswith("200 days old")
    assert "expected at most calibration.max_age_days, 180" in found["tool"].remedy
    assert found["rig"].found == "ur5e_sim does not start"


def test_a_damaged_result_is_shown_and_so_are_the_others(path):
    write(path, "tool", ToolTip("tool", (0.0, 0.0, 0.157), 0.1, whence()))
    (path.parent / "calibration" / "ur5e_sim" / "action_latency.yaml").write_text("kind: [")
    found = looked(path)
    assert not found["tool"].remedy
    assert "action_latency.yaml is not YAML" in found["action_latency"].remedy
    assert "action_latency.yaml is not YAML" in found["rig"].remedy


def test_a_rig_of_which_nothing_was_measured_is_told_so_and_may_start(path):
    found = looked(path)
    assert set(found) == {"calibration", "rig"}
    assert found["calibration"].remedy
    assert not found["rig"].remedy


def test_results_that_cannot_be_listed_are_a_finding_and_not_the_end_of_the_check(path):
    folder = path.parent / "calibration" / "ur5e_sim"
    folder.mkdir(parents=True)
    for number in range(101):
        (folder / f"cam{number}_pose.yaml").touch()
    found = looked(path)
    assert "expected 64 at most" in found["calibration"].remedy
