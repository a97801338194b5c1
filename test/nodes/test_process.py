"""A node's process and its end."""

import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

NODE = """
import time
from carp_ros.nodes.process import run_node

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
