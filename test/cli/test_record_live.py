"""An episode recorded over ROS in real time, and done again, as `carp` does both."""

import json
import os
from pathlib import Path

import pytest
import yaml

from carp_ros.cli import record_live, replay
from carp_ros.cli.record import RecordCommand
from carp_ros.cli.replay import ReplayCommand
from carp_ros.recording.bag import read_info
from carp_ros.share import share_folder

from ..patience import on_a_busy_machine

pytestmark = pytest.mark.realtime


@pytest.fixture
def rig_path(tmp_path) -> Path:
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    pid = os.getpid()
    host = f"127.{150 + (pid >> 16) % 50}.{(pid >> 8) % 256}.{pid % 254 + 1}"
    content["arm"]["host"] = content["gripper"]["host"] = host
    content["limits"]["camera_timeout_s"] = 5.0  # a busy machine renders late; that is not the test
    path = tmp_path / "ur5e_sim.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_demonstration_is_recorded_labelled_and_done_again(tmp_path, rig_path, capsys):
    out = tmp_path / "episodes"
    command = RecordCommand(out=out, episodes=1, seed_start=1, rig=str(rig_path))
    on_a_busy_machine(lambda: record_live.run(command))
    folder = max(out.iterdir())  # an episode that was stopped is there, too
    info = read_info(folder)
    assert (info.seed, info.operator, info.success) == (1, "demonstrator", True)
    assert info.instruction == "put the cup on the green field on the right"
    assert info.verdict != "unknown"
    assert folder.name in capsys.readouterr().out

    report = tmp_path / "replay.json"
    again = ReplayCommand(folder, rig=str(rig_path), report=report)
    on_a_busy_machine(lambda: replay.main(again))
    figures = json.loads(report.read_text())
    # at the same times a busy machine is as far off as the tool moves while it is late
    assert figures["off_path_mm"] < 5.0
    assert "the task is done" in capsys.readouterr().out
