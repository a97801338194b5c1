"""Killed outright, a process takes with it what it started."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

POOL = """
import multiprocessing, os, time
from carp_ros.processes.parent import end_worker_with_parent

def work(_):
    os.write(1, b"%d\\n" % os.getpid())  # at once: both may write together
    time.sleep(60)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2, end_worker_with_parent) as pool:
        pool.map(work, range(2))
"""


STARTER = """
import os, subprocess, sys, time
from carp_ros.processes.parent import known_parent

child, how, environment = [sys.executable, "-c", sys.argv[1]], sys.argv[2], dict(os.environ)
if how == "nohup":
    child = ["sh", "-c", 'trap "" HUP; "$@"; true', "between", *child]
elif how == "told":
    child = ["sh", "-c", '"$@"; true', "between", *child]
    environment |= known_parent()
subprocess.Popen(child, env=environment)
time.sleep(60)
"""
FOLLOWER = """
import os, signal, sys, time
from carp_ros.processes.parent import end_with_starter

signal.signal(signal.SIGINT, lambda *_: sys.exit("the starter is gone"))
end_with_starter()
os.write(1, b"%d\\n" % os.getpid())
while True:
    time.sleep(0.1)
"""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has waited for does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_no_worker_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        workers = [int(process.stdout.readline()) for _ in range(2)]
        assert all(is_alive(pid) for pid in workers)
        process.send_signal(signal.SIGKILL)
    deadline_s = time.monotonic() + 5.0
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline_s, "a worker went on"
        time.sleep(0.01)


def await_end(pid: int) -> bool:
    deadline_s = time.monotonic() + 5.0
    while is_alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return not is_alive(pid)


def started(how: str, program: str = FOLLOWER) -> "tuple[subprocess.Popen[bytes], int]":
    """Return a starter, and the process that it started in this way."""
    command = [sys.executable, "-c", STARTER, program, how]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert starter.stdout
    return starter, int(starter.stdout.readline())


@pytest.mark.parametrize("how", ["parent", "told"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ends_with_its_starter_whatever_lies_between(how, number):
    starter, pid = started(how)
    starter.send_signal(number)
    starter.wait()
    assert await_end(pid)


def test_who_was_started_with_nohup_goes_on():
    starter, pid = started("nohup")
    os.kill(parent_of(pid), signal.SIGKILL)
    starter.kill()
    starter.wait()
    time.sleep(0.5)
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_starter_that_was_gone_before_one_looked_is_noticed():
    gone = subprocess.Popen(["true"])
    gone.wait()
    follower = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER],
        env={**os.environ, "CARP_STARTED_BY": str(gone.pid)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "the starter is gone" in follower.communicate(timeout=10.0)[1]


def test_who_does_not_end_when_told_is_killed():
    deaf = FOLLOWER.replace('lambda *_: sys.exit("the starter is gone")', "signal.SIG_IGN")
    deaf = deaf.replace("end_with_starter()", "parent._LEAVE_S = 0.2; end_with_starter()")
    starter, pid = started("parent", f"from carp_ros.processes import parent\n{deaf}")
    starter.kill()
    starter.wait()
    assert await_end(pid)
