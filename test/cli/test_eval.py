import json

import pytest
from PIL import Image

from carp_ros.cli import eval as verb
from carp_ros.cli.eval import EvalCommand


def test_it_counts_shows_and_reports(tmp_path, capsys):
    report, sheet = tmp_path / "r.json", tmp_path / "x.png"
    command = EvalCommand(trials=2, seed_start=7, report=report, contact_sheet=sheet)
    assert verb.main(command) == 0
    printed = capsys.readouterr().out
    assert "[  2/2] cup, seed" in printed
    assert "2 of 2 trials succeeded (95 % interval 34% to 100%)" in printed
    read = json.loads(report.read_text())
    assert [row["seed"] for row in read["rows"]] == [7, 8]
    assert read["successes"] == 2
    assert Image.open(sheet).width > 900


def test_a_failure_says_why(capsys):
    verb.main(EvalCommand(task="bowl", trials=1, timeout_s=1.0))
    printed = capsys.readouterr().out
    assert "stopped after 1.0 s, failed: bowl is" in printed
    assert "0 of 1 trials succeeded" in printed


def test_no_trials_are_refused():
    with pytest.raises(ValueError, match="--trials is 0; expected at least 1"):
        verb.main(EvalCommand(trials=0))
