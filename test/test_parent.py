"""Killed outright, a process with a pool takes the pool with it."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

POOL = """
import multiprocessing, os, time
from carp_ros.parent import end_worker_with_parent

def work(_):
    os.write(1, b"%d\\n" % os.getpid())  # at once: both may write together
    time.sleep(60)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2, end_worker_with_parent) as pool:
        pool.map(work, range(2))
"""


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
