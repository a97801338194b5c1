import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

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


def test_a_bundle_is_measured_and_named_by_its_hash(tmp_path, capsys, tiny_bundle):
    report = tmp_path / "r.json"
    command = EvalCommand(
        bundle=tiny_bundle,
        trials=1,
        timeout_s=1.0,
        report=report,
        options={"last_scale": 2},
        replan_s=0.25,
    )
    assert verb.main(command) == 0
    assert "tiny, cup, normal: 0 of 1 trials succeeded" in capsys.readouterr().out
    read = json.loads(report.read_text())
    assert read["agent"] == "policy"
    sha256 = hashlib.sha256((tiny_bundle / "policy.yaml").read_bytes()).hexdigest()
    assert read["bundle"] == {"name": "tiny", "sha256": sha256}
    assert (read["replan_s"], read["latency_s"], read["options"]) == (0.25, 0.1, {"last_scale": 2})
    assert read["chunks"] == {"planned": 4, "followed": 4, "refused": 0, "reduced": 0}
    total = read["inference_ms"]["total"]
    assert 0.0 < total["p50"] <= total["p99"]
    assert set(read["inference_ms"]) == {"preprocess", "vision", "decode", "total"}
    assert read["velocity_jump_m_s"]["p50"] < 0.1
    assert read["jerk_m_s3"] > 0.0
    assert read["rows"][0]["followed"] == 4
    assert "stages" not in read["rows"][0]


def test_a_report_that_could_not_be_written_is_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for option in ("report", "contact_sheet"):
        for path in (tmp_path, tmp_path / "file" / "r.json", tmp_path / ("x" * 300)):
            with pytest.raises(ValueError, match=r"cannot write the (report|contact sheet) "):
                verb.main(EvalCommand(trials=1, **{option: path}))
    assert capsys.readouterr().out == ""


def test_a_bundle_that_computes_something_else_is_refused_once(tiny_bundle, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    manifest = broken / "policy.yaml"
    lines = manifest.read_text().splitlines()
    tolerance = next(i for i, line in enumerate(lines) if "position_tolerance_m" in line)
    lines[tolerance] = "  position_tolerance_m: 0.0"
    manifest.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="golden"):
        verb.main(EvalCommand(bundle=str(broken), trials=3, workers=1))


def test_ctrl_c_reports_the_trials_that_were_done(tmp_path):
    report = tmp_path / "new" / "r.json"
    command = "from carp_ros.cli.main import main; main()"
    options = ["eval", "--trials", "500", "--workers", "2", "--report", str(report)]
    with subprocess.Popen(
        [sys.executable, "-c", command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert "[  1/500]" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    assert errors == ""
    assert re.search(r"stopped after \d+ of 500 trials: interrupted", said)
    assert "trials succeeded (95 % interval" in said
    read = json.loads(report.read_text())
    assert read["stopped"] == "interrupted"
    assert read["asked_for"] == 500
    assert 1 <= read["trials"] == len(read["rows"]) < 10


def test_early_stopping_is_counted(tmp_path, tiny_bundle):
    report = tmp_path / "r.json"
    command = EvalCommand(bundle=tiny_bundle, trials=1, timeout_s=0.5, report=report)
    verb.main(dataclasses.replace(command, options={"last_scale": 0}))
    read = json.loads(report.read_text())
    assert read["chunks"]["reduced"] == read["chunks"]["planned"] > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"agent": "demonstrator"}, "--agent demonstrator and --bundle exclude each other"),
        ({"agent": "policy", "bundle": None}, "--agent policy needs --bundle"),
        ({"options": {"last_scale": 3}}, "last_scale is 3; expected 0 to 2"),
        (
            {"options": {"scale": 3}},
            r"\['scale'\] is no option of a carp policy; expected \['committed_steps', 'last_",
        ),
        ({"replan_s": 0.0}, "--replan-s is 0.0; expected at least 0.01"),
        ({"replan_s": float("nan")}, "--replan-s is nan"),
        ({"latency_s": float("inf")}, r"--latency-s is inf; .* 10.0 at most"),
        ({"timeout_s": 0.0}, "--timeout-s is 0.0; expected at least 0.1"),
        ({"workers": -1}, "--workers is -1; expected at least 0"),
        ({"trials": 10**20}, "--trials is 1000"),
        ({"seed_start": -1}, "--seed-start is -1; expected at least 0"),
        ({"seed_start": 10**30}, r"--seed-start is 1000\d+; expected at least 0, \d+ at most"),
        ({"bundle": "no_such"}, r"no policy\.yaml in .*no_such"),
        ({"task": "bowl"}, "task is 'bowl'; bundle tiny was trained for cup"),
        ({"bundle": Path("nowhere")}, r"no policy\.yaml in .*nowhere"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_runs(tiny_bundle, options, reason):
    with pytest.raises(ValueError, match=reason):
        verb.main(EvalCommand(**{"bundle": tiny_bundle, **options}))
