"""Tests for processes/cores.py."""

import os
import subprocess
import sys
import threading

import pytest

from carp_ros.processes import cores

WITH_THREAD = """
import os, threading
from carp_ros.processes import cores
rest = threading.Event()
ordinary, realtime = (threading.Thread(target=rest.wait) for _ in range(2))
ordinary.start(), realtime.start()
cores._is_realtime = lambda thread: thread == realtime.native_id
where = lambda: print(*(sorted(os.sched_getaffinity(t.native_id)) for t in (ordinary, realtime)))
where()
cores.settle_threads()
where()
rest.set()
"""


@pytest.fixture
def machine(monkeypatch):
    """A machine of `cores` cores, and the cores on which this thread then is."""
    monkeypatch.delenv("CARP_CORES", raising=False)
    chosen = {}

    def make(count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)))
        monkeypatch.setattr(os, "sched_setaffinity", chosen.__setitem__)
        return chosen

    return make


@pytest.mark.parametrize(
    ("count", "realtime", "others"),
    [(2, {1}, {0}), (3, {2}, {0, 1}), (1, None, None), (4, None, None)],
)
def test_the_last_of_few_cores_is_for_real_time(machine, count, realtime, others):
    chosen = machine(count)
    cores.take_realtime_core()
    assert chosen.get(0) == realtime
    cores.leave_realtime_core()
    assert chosen.get(0) == others


def test_a_process_that_a_restricted_one_starts_knows_all_cores(machine, monkeypatch):
    chosen = machine(2)
    cores.leave_realtime_core()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # inherited
    cores.take_realtime_core()
    assert chosen[0] == {1}


def test_a_core_that_a_container_took_away_is_no_error(machine, monkeypatch):
    machine(2)

    def refuse(thread, cores):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    cores.take_realtime_core()
    cores.settle_threads()


def test_realtime_threads_go_to_the_last_core_and_the_others_anywhere():
    everywhere = sorted(os.sched_getaffinity(0))
    if not 1 < len(everywhere) <= 3:
        pytest.skip("a machine with many cores is not divided")
    done = subprocess.run(
        [sys.executable, "-c", WITH_THREAD], capture_output=True, text=True, check=True
    )
    before, after = (f"{everywhere} {cores}" for cores in (everywhere, everywhere[-1:]))
    assert done.stdout.splitlines() == [before, after]


def test_a_machine_with_many_cores_is_left_as_it_is(machine):
    chosen = machine(8)
    cores.settle_threads()
    assert not chosen


def test_a_thread_that_ends_meanwhile_is_no_error(monkeypatch):
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    monkeypatch.setattr(cores, "_threads", lambda: [ended.native_id])
    cores.settle_threads()
