"""A node's process and its end."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

from carp_ros.processes.interrupts import interrupts_held
from carp_ros.processes.restarts import EXIT_BROKEN
from carp_ros.ros.process import full_name

NODE = """
import time
from carp_ros.ros.process import run_node

def make():
    from rclpy.node import Node

    class Careful(Node):
        def __init__(self):
            super().__init__("careful")
            self.create_timer(0.01, self._say)

        def _say(self):
            print("up", flush=True)

        def destroy_node(self):
            time.sleep(0.5)
            print("left in good order", flush=True)
            super().destroy_node()

    return Careful()

run_node(make)
"""


def test_many_interrupts_do_not_cut_its_end_short(tmp_path):
    (tmp_path / "node.py").write_text(NODE)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "node.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        for _ in range(5):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        out, err = process.communicate(timeout=10.0)
    assert out.endswith("left in good order\n"), err
    assert (process.returncode, err) == (0, "")


def test_an_interrupt_while_it_still_imports_ends_it_without_a_traceback(tmp_path):
    (tmp_path / "node.py").write_text(f"print('importing', flush=True)\n{NODE}")
    with interrupts_held():
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "node.py")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20.0)
    assert (process.returncode, out, err) == (0, "", "")


ASKING = """
import rclpy
from carp_ros.ros.process import run_node

def make():
    from rclpy.node import Node
    from std_srvs.srv import Trigger

    class Asking(Node):
        def __init__(self):
            super().__init__("asking")
            self.other = self.create_client(Trigger, "other")
            self.create_timer(0.01, self._ask)

        def _ask(self):
            {before}
            self.other.service_is_ready()
            raise RuntimeError("a bug")

    return Asking()

run_node(make)
"""


def test_what_fails_because_ros_was_shut_down_meanwhile_is_no_bug(tmp_path):
    for before, code in (("rclpy.shutdown()", 0), ("pass", EXIT_BROKEN)):
        (tmp_path / "node.py").write_text(ASKING.format(before=before))
        ended = subprocess.run(
            [sys.executable, str(tmp_path / "node.py")],
            capture_output=True,
            text=True,
            check=False,
            timeout=30.0,
        )
        assert (ended.returncode, "Traceback" in ended.stderr) == (code, code != 0), ended.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/x/control_node.py"], "/control_node"),
        (["/bin/control_node", "--ros-args", "-r", "__node:=other"], "/other"),
        (
            ["control_node", "--ros-args", "-r", "__ns:=/lab/left", "-p", "a:=b"],
            "/lab/left/control_node",
        ),
        (["a", "--ros-args", "--remap", "__node:=n", "-r", "a:__ns:=left"], "/left/n"),
    ],
)
def test_a_node_is_known_by_its_full_name_before_it_is_made(arguments, name):
    assert full_name(arguments) == name


def test_a_second_process_of_the_same_node_is_refused(tmp_path):
    (tmp_path / "node.py").write_text(NODE)
    command = [sys.executable, str(tmp_path / "node.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdout.readline() == "up\n"
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        third = subprocess.Popen(
            [*command, "--ros-args", "-r", "__ns:=/left"], stdout=subprocess.PIPE, text=True
        )
        assert third.stdout
        assert third.stdout.readline() == "up\n"
        for process in (first, third):
            process.send_signal(signal.SIGINT)
        third.communicate(timeout=20.0)
    assert second.returncode == 1
    assert f"process {first.pid} already runs /node in ROS domain" in second.stderr
    assert "stop it, or start this one in another namespace" in second.stderr
