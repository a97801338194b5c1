"""What is left of an episode when the recorder ends in the middle of it."""

import os
import signal
import time
from pathlib import Path

import pytest

from carp_ros.recording.bag import read_info
from carp_ros.recording.recover import recover

from ..patience import await_true
from .recorder_system import running_recorder, writer_of

pytestmark = pytest.mark.realtime


def test_a_killed_recorder_leaves_an_episode_that_is_recovered_to_its_last_moment(tmp_path):
    with running_recorder(tmp_path) as (system, recorder):
        folder = Path(recorder.start())
        time.sleep(2.0)
        writer = writer_of(system)
        os.kill(system.pid("recorder_node"), signal.SIGKILL)
        await_true(lambda: not Path(f"/proc/{writer}").exists(), 5.0, "the writer ends by itself")
    recovery = recover(folder)
    assert recovery.outcome == "recovered"
    assert recovery.seconds > 1.9


def test_ctrl_c_finishes_the_episode(tmp_path):
    with running_recorder(tmp_path) as (system, recorder):
        folder = Path(recorder.start())
        time.sleep(1.5)
        os.kill(system.pid("recorder_node"), signal.SIGINT)
        await_true(lambda: system.first_exit() is not None, 8.0, "the recorder ends")
    assert not (folder / "unfinished.yaml").exists()
    assert read_info(folder).verdict != "unknown"
