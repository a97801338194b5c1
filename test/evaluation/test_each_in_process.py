"""Jobs in processes of their own: what one of them does to itself costs nobody else anything."""

import functools
import importlib
import os
import signal
import subprocess
import sys
import time

import pytest

from carp_ros.evaluation.each_in_process import LostJob, each_in_process

JOBS = """
import os, signal

def double(job):
    if job == 3:
        raise KeyError("three")
    if job == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if job == 7:
        os._exit(4)
    return 2 * job

def doubling():
    return double

def refusing():
    raise ValueError("there is no cell")

def dying():
    os._exit(3)
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that processes find, too."""
    (tmp_path / "jobs_of_this_test.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("jobs_of_this_test")
    del sys.modules["jobs_of_this_test"]


def test_every_job_is_done_once(jobs):
    assert sorted(each_in_process(jobs.doubling, (1, 2, 4), 2)) == [2, 4, 8]
    assert list(each_in_process(jobs.doubling, (), 1)) == []


def test_a_job_that_raises_or_dies_is_lost_with_the_reason_and_the_others_are_done(jobs):
    outcomes = list(each_in_process(jobs.doubling, range(9), 2))
    lost = {each.job: each.reason for each in outcomes if isinstance(each, LostJob)}
    assert sorted(each for each in outcomes if not isinstance(each, LostJob)) == [
        0,
        2,
        4,
        8,
        12,
        16,
    ]
    assert lost == {
        3: "KeyError: 'three'",
        5: "its process ended: Killed",
        7: "its process ended: exit code 4",
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("refusing", "there is no cell"),
        ("dying", "3 times in a row without a result: its process ended: exit code 3"),
    ],
)
def test_where_no_process_can_begin_it_is_said_once(jobs, name, reason):
    with pytest.raises(ValueError, match=reason):
        list(each_in_process(getattr(jobs, name), range(9), 1))


def test_jobs_that_all_kill_their_process_end_it(jobs):
    with pytest.raises(ValueError, match="3 times in a row"):
        list(each_in_process(functools.partial(jobs.doubling), (5,) * 9, 1))


PROGRAM = """
import time
from carp_ros.evaluation.each_in_process import each_in_process

def open_worker():
    return work

def work(job):
    time.sleep(0.1 if job < 2 else 60.0)
    return job

if __name__ == "__main__":
    done = []
    try:
        for job in each_in_process(open_worker, range(9), 2):
            done.append(job)
            print(job, flush=True)
    except KeyboardInterrupt:
        print("interrupted", sorted(done), flush=True)
"""


def test_ctrl_c_ends_the_processes_without_a_word_and_leaves_what_was_done(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert sorted(process.stdout.readline() for _ in range(2)) == ["0\n", "1\n"]
        begin_s = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said, errors = process.communicate(timeout=60)
    assert said == "interrupted [0, 1]\n"
    assert errors == ""
    assert process.returncode == 0
    assert time.monotonic() - begin_s < 30.0
