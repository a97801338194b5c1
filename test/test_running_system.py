import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carp_ros.bringup import NodeProcess
from carp_ros.errors import DeviceError
from carp_ros.running_system import Exit, RunningSystem, command_of

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
READY = "from carp_ros.ready import announce_ready; announce_ready(); import time; time.sleep(60)"
POLITE = """
import time
try:
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped", time.monotonic_ns(), flush=True)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)
WITH_CHILD = (
    "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def system_of(**programs: str) -> tuple["RunningSystem", "Lines"]:
    """Return a system whose nodes are these Python programs, and what they write."""
    lines = Lines()
    nodes = tuple(NodeProcess(name, name, {}) for name in programs)
    system = RunningSystem(
        nodes, lines, command=lambda node: [sys.executable, "-c", programs[node.executable]]
    )
    return system, lines


class Lines:
    """Keeps what nodes write."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.seen.append((name, line))

    def wait_for(self, name: str) -> str:
        """Return the first line of a node."""
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            for writer, line in list(self.seen):
                if writer == name:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"{name} wrote nothing")


def is_running(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone_within(pid: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_nodes_stop_in_reverse_order_on_sigint():
    system, lines = system_of(first=POLITE, second=POLITE)
    with system:
        lines.wait_for("first")
        lines.wait_for("second")
    stopped_ns = {name: int(line.split()[1]) for name, line in lines.seen if "stopped" in line}
    assert stopped_ns["second"] < stopped_ns["first"]


def test_the_system_is_up_once_a_node_says_so():
    system, _ = system_of(first=SLEEP, supervisor=READY)
    with system:
        system.wait_until_ready(20.0)
        assert system.first_exit() is None


def test_a_node_that_ends_before_the_system_is_up_is_named():
    system, _ = system_of(first=SLEEP, second="raise SystemExit(7)")
    with system, pytest.raises(DeviceError, match="second ended with exit code 7"):
        system.wait_until_ready(20.0)


def test_a_system_that_never_gets_up_is_given_up():
    system, _ = system_of(first=SLEEP)
    with system, pytest.raises(DeviceError, match="not up within 0 s"):
        system.wait_until_ready(0.2)


def test_a_node_that_dies_is_reported_with_its_signal():
    system, _ = system_of(first=SLEEP, second="import os; os.kill(os.getpid(), 11)")
    with system:
        ended = system.wait()
    assert ended == Exit("second", 139)
    assert str(ended) == "second was ended by SIGSEGV"


def test_a_node_that_ignores_signals_is_killed(monkeypatch):
    monkeypatch.setattr(
        "carp_ros.running_system.PATIENCE_S", {signal.SIGINT: 0.2, signal.SIGTERM: 0.2}
    )
    system, lines = system_of(stubborn=STUBBORN)
    with system:
        lines.wait_for("stubborn")
        started = time.monotonic()
    assert time.monotonic() - started < 5.0


def test_what_a_killed_node_started_is_killed_too():
    system, lines = system_of(parent=WITH_CHILD)
    with system:
        child = int(lines.wait_for("parent"))
        assert is_running(child)
    assert gone_within(child, 5.0)


def test_nodes_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(f"""
import signal, sys, time
from carp_ros.bringup import NodeProcess
from carp_ros.running_system import RunningSystem
program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's `carp up &` has it
log = lambda name, line: print(line, flush=True)
command = lambda node: [{sys.executable!r}, "-c", program]
with RunningSystem((NodeProcess("only", "only", {{}}),), log, command):
    time.sleep(60)
""")
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert parent.stdout is not None
    node = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone_within(node, 5.0)


def test_a_parameter_reaches_the_node_as_text():
    command = command_of(NodeProcess("teleop_node", "teleop_node", {"rig": "/a b/1.yaml"}))
    assert command[-4:] == ["-r", "__node:=teleop_node", "-p", 'rig:="/a b/1.yaml"']
