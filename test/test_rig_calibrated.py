"""Tests for rig.py: what was calibrated of a rig replaces its file's numbers, or is refused."""

import dataclasses
from datetime import date, timedelta

import pytest

from carp_ros.calibrated.result_file import Latency, Provenance, ToolTip, write_result
from carp_ros.rig import load_nominal_rig, load_rig
from carp_ros.rig_file import RIG_READ_ON, calibration_folder, read_rig_file
from carp_ros.share import share_folder

SHIPPED = share_folder() / "config" / "ur5e_sim.yaml"


def whence(age_days=1):
    day = date.today() - timedelta(days=age_days)
    return Provenance("ur5e_sim", day.isoformat(), "method", "source", 12, residual_mm=0.2)


def tool(*position_m, age_days=1):
    return ToolTip("tool", position_m, 0.1, whence(age_days))


def latency(device, latency_s):
    return Latency("latency", device, latency_s, 0.0002, 0.99, whence())


@pytest.fixture
def path(tmp_path):
    (tmp_path / "config").mkdir()
    copy = tmp_path / "config" / SHIPPED.name
    copy.write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


@pytest.fixture
def write(path):
    def write(**results):
        for name, result in results.items():
            write_result(calibration_folder(path) / f"{name}.yaml", result)

    return write


def test_results_are_looked_for_beside_the_rigs_config(path, tmp_path):
    assert calibration_folder(path) == tmp_path / "calibration" / "ur5e_sim"
    assert calibration_folder(tmp_path / "own.yaml") == tmp_path / "calibration" / "own"


def test_measured_numbers_replace_the_files_own_and_nothing_else_changes(path, write):
    before = load_rig(path)
    write(
        tool=tool(0.001, 0.0, 0.158),
        action_latency=latency("action", 0.041),
        gripper_latency=latency("gripper", 0.12),
        wrist_cam_latency=latency("wrist_cam", 0.018),
    )

    rig = load_rig(path)

    assert rig.tool.position_m == (0.001, 0.0, 0.158)
    assert (rig.latency.action_s, rig.latency.gripper_s) == (0.041, 0.12)
    assert rig.cameras["wrist_cam"].latency_s == 0.018
    assert rig.cameras["third_cam"] == before.cameras["third_cam"]
    assert set(rig.calibrated.dates) == {
        "tool", "action_latency", "gripper_latency", "wrist_cam_latency",
    }  # fmt: skip
    kept = {"tool": before.tool, "latency": before.latency, "cameras": before.cameras}
    assert dataclasses.replace(rig, calibrated=before.calibrated, **kept) == before


def test_a_rig_without_results_runs_on_its_file_alone(path):
    rig = load_rig(path)
    assert rig.calibrated.files == {}
    assert rig == load_nominal_rig(path)
    assert rig.file.recorded == rig.file.content


def test_what_was_in_force_is_recorded_with_an_episode(path, write):
    write(tool=tool(0.0, 0.0, 0.157))
    recorded = load_rig(path).file.recorded
    assert recorded["calibration_files"]["tool"]["position_m"] == [0.0, 0.0, 0.157]


def test_all_processes_run_on_the_calibration_that_the_system_began_with(path, write, monkeypatch):
    write(tool=tool(0.0, 0.0, 0.157))
    rig = load_rig(path)
    for name, value in rig.file.environment.items():
        monkeypatch.setenv(name, value)
    write(tool=tool(0.0, 0.0, 0.150))

    assert load_rig(path, rig.file.sha256) == rig
    assert load_rig(path).file.sha256 != rig.file.sha256

    monkeypatch.delenv("CARP_RIG")
    with pytest.raises(ValueError, match="or its calibration was"):
        load_rig(path, rig.file.sha256)


def test_a_calibration_that_ages_while_a_system_runs_does_not_stop_it(path, write, monkeypatch):
    write(tool=tool(0.0, 0.0, 0.157, age_days=190))
    started = (date.today() - timedelta(days=20)).isoformat()
    with pytest.raises(ValueError, match=r"tool\.yaml: is 190 days old"):
        load_rig(path)

    file = read_rig_file(path)
    for name, value in {**file.environment, RIG_READ_ON: started}.items():
        monkeypatch.setenv(name, value)
    assert load_rig(path, file.sha256).tool.position_m == (0.0, 0.0, 0.157)


def test_another_tool_is_no_calibration(path, write):
    write(tool=tool(0.0, 0.0, 0.19))
    with pytest.raises(ValueError, match=r"tool\.yaml: position_m is 0\.0342 m from"):
        load_rig(path)


@pytest.mark.parametrize(
    ("name", "device", "latency_s", "reason"),
    [
        ("action_latency", "action", 0.31, r"latency\.action_s becomes 0\.31; expected -0\.02 to"),
        ("gripper_latency", "gripper", -0.1, r"latency\.gripper_s becomes -0\.1"),
        ("third_cam_latency", "third_cam", 0.35, r"cameras\.third_cam\.latency_s becomes 0\.35"),
        ("third_cam_latency", "third_cam", 0.22, r"camera_timeout_s is 0\.25, .* 0\.22 s late"),
    ],
)
def test_a_latency_out_of_range_is_refused(path, write, name, device, latency_s, reason):
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("camera_timeout_s: 0.4 ", "camera_timeout_s: 0.25 "), "utf-8")
    write(**{name: latency(device, latency_s)})
    with pytest.raises(ValueError, match=rf"{reason}.*measure it anew"):
        load_rig(path)


def test_a_tool_that_puts_home_outside_the_workspace_is_refused(path, write):
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("0.75, 0.45, 0.55]", "0.75, 0.45, 0.33]"), encoding="utf-8")
    load_rig(path)
    write(tool=tool(0.0, 0.0, 0.13))
    with pytest.raises(ValueError, match=r"outside the workspace.*measure it anew"):
        load_rig(path)


@pytest.mark.parametrize("content", ["", "kind: tool", "kind: [", "kind: oven", "- 1", "\x00"])
def test_a_damaged_result_is_refused_by_its_file_and_the_nominal_rig_still_loads(path, content):
    folder = calibration_folder(path)
    folder.mkdir(parents=True)
    (folder / "tool.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"ur5e_sim/tool\.yaml") as refused:
        load_rig(path)
    assert "\n" not in str(refused.value)
    load_nominal_rig(path)


def test_other_files_beside_the_results_are_ignored(path, write):
    write(tool=tool(0.0, 0.0, 0.157))
    (calibration_folder(path) / "board.yaml").write_text("columns: 9", encoding="utf-8")
    assert set(load_rig(path).calibrated.files) == {"tool"}


def test_latencies_lead_a_plan_only_by_what_its_demonstrations_did_not_have(path, write):
    write(action_latency=latency("action", 0.05), gripper_latency=latency("gripper", 0.12))
    lead = load_rig(path).latency.lead
    assert (lead.action_ns, lead.gripper_ns) == (0, 0)

    with path.open("a", encoding="utf-8") as file:
        file.write("\nlatency: {demonstrated_action_s: 0.02, demonstrated_gripper_s: 0.0}\n")
    lead = load_rig(path).latency.lead
    assert (lead.action_ns, lead.gripper_ns) == (30_000_000, 120_000_000)
