"""Tests for cli/check.py: which rows it prints, in which order, and its exit code."""

import json

import pytest

from carp_ros.checks import installation
from carp_ros.checks.probe import Check, CheckResult
from carp_ros.cli import check
from carp_ros.cli import main as command_line
from carp_ros.cli.check import CheckCommand, main
from carp_ros.reports.check import CheckCode, CheckReport, Verdict
from carp_ros.reports.json_report import report_from_json


def looked(name: str, remedy: str = "", needed_for: str = "", code=CheckCode.NOT_MET) -> Check:
    return Check(name, lambda: CheckResult("found", remedy), needed_for, code)


@pytest.fixture
def found(monkeypatch):
    """Let these checks, and no others, look at the machine."""

    def replace(*checks: Check) -> None:
        monkeypatch.setattr(check, "probes_of_the_machine", lambda folder, files: checks)
        monkeypatch.setattr(check, "probes_of", lambda rig, *others: checks)

    return replace


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (looked("python"), 0),
        (looked("mouse", "plug one in", needed_for="teleoperation"), 0),
        (looked("ROS 2", "install it"), 1),
    ],
)
def test_only_what_nothing_runs_without_fails_the_check(made, code, found, capsys):
    found(looked("first"), made)
    assert main(CheckCommand()) == code
    printed = capsys.readouterr().out
    assert ("does not run before these are green: ROS 2" in printed) == (code == 1)
    assert made.look().remedy in printed


def test_what_goes_wrong_in_looking_is_a_finding_and_the_others_are_looked_at(found, capsys):
    def crash() -> CheckResult:
        raise PermissionError(13, "Permission denied")

    found(Check("first", crash), looked("second"))
    assert main(CheckCommand()) == 1
    printed = capsys.readouterr().out
    assert "can't be told: Permission denied" in printed
    assert "FAILED" in printed
    assert "second" in printed


def test_a_wrong_variable_is_the_first_row_and_no_traceback(monkeypatch, found, capsys):
    monkeypatch.setenv("ROS_DOMAIN_ID", "300")
    needing = [c for c in installation.CHECKS if c.name in ("ROS 2", "DDS settings")]
    found(looked("python"), *needing)
    assert main(CheckCommand()) == 1
    rows = capsys.readouterr().out.splitlines()
    assert "settings" in rows[0]
    assert "ROS_DOMAIN_ID is '300'" in rows[1]
    assert "python" in rows[2]
    assert len(rows) == 4


def test_a_red_row_tells_code_value_expectation_and_remedy(found, capsys):
    result = CheckResult("none", "plug one in", CheckCode.CAMERA_ABSENT, "one camera")
    found(Check("camera", lambda: result))
    assert main(CheckCommand()) == 1
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["red", "camera", "none", "[CAMERA_ABSENT]"]
    assert [row.strip() for row in rows[1:3]] == ["expected: one camera", "remedy: plug one in"]


def test_the_report_for_programs_is_read_back_as_its_class(found, capsys):
    found(looked("python"), looked("disk", "free some", code=CheckCode.DISK_FULL))
    assert main(CheckCommand("ur5e_sim", json=True)) == 1
    text = capsys.readouterr().out
    report = report_from_json(CheckReport, text, "carp check")
    assert (report.rig, len(report.rig_sha256)) == ("ur5e_sim", 64)
    assert [(line.verdict, line.code) for line in report.lines] == [
        (Verdict.GREEN, CheckCode.OK),
        (Verdict.RED, CheckCode.DISK_FULL),
    ]
    assert json.loads(text)["schema"] == CheckReport.schema


@pytest.mark.parametrize(
    "typed", [("ur5e_sim",), ("--rig", "ur5e_sim"), ("ur5e_sim", "--rig", "ur5e_sim")]
)
def test_a_rig_is_named_after_the_verb_or_in_the_earlier_spelling(typed, monkeypatch):
    looked_at = []
    monkeypatch.setattr(check, "probes_of", lambda rig, *others: looked_at.append(rig.name) or ())
    assert command_line.run(["check", *typed]) == 0
    assert looked_at == ["ur5e_sim"]


def test_two_different_rigs_are_refused():
    with pytest.raises(ValueError, match="expected one"):
        main(CheckCommand("ur5e", named="fr3"))


def test_a_bundle_without_a_rig_is_refused():
    with pytest.raises(ValueError, match="without a rig"):
        main(CheckCommand(bundle="carp_cup_sim"))


def test_a_check_writes_nothing_and_looks_also_from_where_nothing_can_be_written(found, tmp_path):
    (tmp_path / "episodes").touch()
    found(looked("python"))
    assert command_line.run(["check", "--folder", str(tmp_path / "episodes")]) == 0
