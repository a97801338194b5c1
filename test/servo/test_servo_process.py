"""The servo process without a robot."""

import os
import signal
import subprocess
import sys

import pytest

from carp_ros.control.command import ServoLink
from carp_ros.servo.servo_process import EXIT_DEVICE
from carp_ros.system.bringup import rig_path

HANGS = """
import time
from carp_ros.control.command import ServoLink
from carp_ros.servo import servo_process
from carp_ros.system.bringup import rig_path
from carp_ros.rig import load_rig
from carp_ros.rig_devices import (UrArmConfig)

UrArmConfig.recovery_s, servo_process._HUNG_MARGIN_S = 0.5, 0

class Arm:
    def connect(self):
        print("hangs", flush=True)
        while True:
            time.sleep(1.0)

link = ServoLink({name!r}, create=False)
servo_process.ServoProcess(load_rig(rig_path("ur5e_sim")), link, Arm()).run()
"""


@pytest.fixture
def link():
    made = ServoLink(f"test_{os.getpid()}_hung", create=True)
    yield made
    made.unlink()


def test_one_that_hangs_and_that_nobody_kills_does_not_live_on(tmp_path, link):
    script = tmp_path / "servo.py"
    script.write_text(HANGS.format(name=link.name))
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "hangs\n"
        try:
            assert process.wait(10.0) == -signal.SIGALRM
        finally:
            process.kill()  # else a failure would wait for it


def test_one_that_finds_another_rig_than_the_control_node_did_leaves_a_note_and_ends(link):
    command = [sys.executable, "-m", "carp_ros.servo.servo_process", "--link", link.name]
    command += ["--rig", str(rig_path("ur5e_sim")), "--rig-sha256", "0" * 64]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)

    assert done.returncode == EXIT_DEVICE
    assert done.stderr == ""  # it is started again and again: the control node tells it, once
    record = link.note.read()
    assert record is not None
    note = record["text"].item().decode()
    assert "ur5e_sim.yaml has SHA-256" in note
    assert "changed since" in note
