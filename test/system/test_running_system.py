import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carp_ros.errors import DeviceError
from carp_ros.processes.restarts import Exit
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem, command_of

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
READY = (
    "from carp_ros.processes.ready import announce_ready; announce_ready();"
    " import time; time.sleep(60)"
)
POLITE = """
import time
from carp_ros.processes.interrupts import take_held_interrupts
try:
    take_held_interrupts()
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


def test_a_helper_that_dies_is_started_again_and_in_the_end_stays_down(monkeypatch):
    monkeypatch.setattr("carp_ros.processes.restarts.PAUSES_S", (0.05, 0.1))
    lines = Lines()
    nodes = (NodeProcess("arm", "arm", {}), NodeProcess("helper", "helper", {}, essential=False))
    with RunningSystem(nodes, lines, lambda node: [sys.executable, "-c", SLEEP]) as system:
        lines.wait_for("helper")
        arm, seen = system.pid("arm"), []
        for _ in range(3):
            pid = system.pid("helper")
            seen.append(pid)
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 10.0
            while system.pid("helper") == pid and not system.down:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert len(set(seen)) == 3
        assert "stays down" in system.down["helper"]
        assert system.pids == {"arm": arm}
        assert system.first_exit() is None
    assert sum("was ended by SIGKILL" in line for _, line in lines.seen) == 3


def test_the_control_node_is_told_to_hold_when_another_dies():
    lines = Lines()
    holding = (
        "import signal, time; signal.signal(signal.SIGURG, lambda *_: print('holds', flush=True));"
        "print('up', flush=True); time.sleep(60)"
    )
    programs = {"control_node": holding, "helper": SLEEP}
    nodes = tuple(NodeProcess(name, name, {}, essential=name != "helper") for name in programs)
    with RunningSystem(
        nodes, lines, lambda node: [sys.executable, "-c", programs[node.name]]
    ) as system:
        for name in programs:
            lines.wait_for(name)
        os.kill(system.pid("helper"), signal.SIGKILL)
        deadline = time.monotonic() + 10.0
        while ("control_node", "holds") not in lines.seen:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_helper_that_is_refused_at_the_start_ends_the_system():
    nodes = (NodeProcess("helper", "helper", {}, essential=False),)
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    with (
        RunningSystem(nodes, Lines(), lambda node: command) as system,
        pytest.raises(DeviceError, match="helper ended with exit code 1 before the system was up"),
    ):
        system.wait_until_ready(20.0)


def test_what_a_dead_node_started_may_finish_its_work():
    finishing = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c',"
        " 'import time; time.sleep(1.5); print(\"finished\", flush=True)']);"
        "print('up', flush=True); time.sleep(60)"
    )
    system, lines = system_of(parent=finishing)
    with system:
        lines.wait_for("parent")
        os.kill(system.pid("parent"), signal.SIGKILL)
        time.sleep(0.3)
    assert ("parent", "finished") in lines.seen


INTERRUPTED = """
import sys, time
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem
sys.stdout.reconfigure(line_buffering=True)
slow = '''
import time
from carp_ros.processes.interrupts import take_held_interrupts
try:
    take_held_interrupts()
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("asked", flush=True)
    time.sleep(3.0)
    print("in good order", flush=True)
'''
log = lambda name, line: sys.stdout.write(line + "\\n")  # one write: lines stay whole
nodes = (NodeProcess("one", "one", {}), NodeProcess("two", "two", {}))
with RunningSystem(nodes, log, lambda node: [sys.executable, "-c", slow]):
    time.sleep(60)
"""


@pytest.mark.realtime  # of signals: beside other tests they reach a process that is still about to
@pytest.mark.parametrize("pauses_s", [(0.0,), (0.05, 0.05), (1.0,), (0.2, 0.2, 0.2, 1.2)])
def test_ctrl_c_again_and_again_hurries_and_cuts_nothing_short(tmp_path, pauses_s):
    (tmp_path / "parent.py").write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout
        assert [parent.stdout.readline() for _ in range(2)] == ["up\n"] * 2
        for pause_s in (0.0, *pauses_s):
            time.sleep(pause_s)
            parent.send_signal(signal.SIGINT)
        out, err = parent.communicate(timeout=20.0)
    assert out.count("in good order") == 2, err
    if pauses_s[-1] >= 1.0:  # signals that come at once may be one to whom they are sent
        assert out.splitlines()[:2] == ["asked"] * 2  # the second while the first still ended


def test_a_node_that_ignores_signals_is_killed(monkeypatch):
    monkeypatch.setattr(
        "carp_ros.processes.child.PATIENCE_S", {signal.SIGINT: 0.2, signal.SIGTERM: 0.2}
    )
    system, lines = system_of(stubborn=STUBBORN)
    with system:
        lines.wait_for("stubborn")
        started = time.monotonic()
    assert time.monotonic() - started < 5.0


def test_what_a_killed_node_started_is_killed_too(monkeypatch):
    monkeypatch.setattr("carp_ros.processes.child.SURVIVORS_S", 0.2)
    system, lines = system_of(parent=WITH_CHILD)
    with system:
        child = int(lines.wait_for("parent"))
        assert is_running(child)
    assert gone_within(child, 5.0)


def test_nodes_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(f'''
import signal, sys, time
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem
program = """
import os, time
from carp_ros.processes.interrupts import take_held_interrupts
from carp_ros.processes.parent import end_with_starter

take_held_interrupts()
end_with_starter()
print(os.getpid(), flush=True)
time.sleep(60)
"""
log = lambda name, line: print(line, flush=True)
command = lambda node: [{sys.executable!r}, "-c", program]
with RunningSystem((NodeProcess("only", "only", {{}}),), log, command):
    time.sleep(60)
''')
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
