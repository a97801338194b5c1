"""Tests for control/realtime.py: absolute deadlines, and how late they were met."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.control.realtime import (
    Lateness,
    Metronome,
    count_later_than,
    lateness_quantile_s,
    starting_pollers,
)

PERIOD_S = 0.005
PERIOD_NS = 5_000_000
late = st.lists(st.integers(0, 6_000_000), min_size=1, max_size=60)


def counted(lateness_ns):
    lateness = Lateness()
    for late_ns in lateness_ns:
        lateness.add(late_ns)
    return lateness


@given(late)
def test_every_tick_is_counted_and_the_worst_is_kept(lateness_ns):
    lateness = counted(lateness_ns)

    assert lateness.counts.sum() == len(lateness_ns)
    assert lateness.worst_ns == max(lateness_ns)
    edges = np.append(np.arange(Lateness.BINS + 1) * Lateness.BIN_NS, 2**62)
    np.testing.assert_array_equal(lateness.counts, np.histogram(lateness_ns, edges)[0])


@given(late, st.integers(0, 1000))
def test_ticks_later_than_the_edge_of_a_bin_are_counted(lateness_ns, bins):
    limit_ns = bins * Lateness.BIN_NS

    expected = sum(late_ns >= limit_ns for late_ns in lateness_ns)
    assert count_later_than(counted(lateness_ns).counts, limit_ns) == expected


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 4_999_999), min_size=1, max_size=60),
    st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0]),
)
def test_quantiles_are_those_of_numpy_within_a_bin(lateness_ns, quantile):
    found_s = lateness_quantile_s(counted(lateness_ns).counts, quantile)

    expected_s = np.percentile(lateness_ns, 100 * quantile, method="inverted_cdf") * 1e-9
    assert expected_s <= found_s <= expected_s + 1.001 * Lateness.BIN_NS * 1e-9


def test_without_ticks_no_quantile_is_late():
    assert lateness_quantile_s(Lateness().counts, 0.99) == 0.0


def test_no_tick_comes_before_its_deadline():
    metronome = Metronome(PERIOD_S)
    start_ns = time.monotonic_ns()

    for number, now_ns in enumerate(metronome, start=1):
        assert now_ns >= start_ns + (number + metronome.skipped) * PERIOD_NS
        if number == 5:
            break
    assert metronome.lateness.counts.sum() == 5


def test_a_loop_that_falls_behind_skips_whole_periods_instead_of_running_them_in_a_burst():
    metronome = Metronome(PERIOD_S)
    ticks = iter(metronome)
    next(ticks)
    time.sleep(3.5 * PERIOD_S)

    times_ns = [next(ticks) for _ in range(4)]

    # the first comes late and at once; the missed ones never come
    assert metronome.skipped >= 2
    assert metronome.lateness.worst_ns >= 2.4 * PERIOD_NS
    # the three periods between four ticks are at least two whole ones: the grid stays where it was
    assert times_ns[-1] - times_ns[1] >= 2 * PERIOD_NS - metronome.lateness.worst_ns
    assert times_ns[-1] - times_ns[0] > 2 * PERIOD_NS


def slack_and_policy() -> tuple[int, int]:
    get_timer_slack = 30
    return ctypes.CDLL(None).prctl(get_timer_slack, 0, 0, 0, 0), os.sched_getscheduler(0)


def test_a_poller_may_sleep_longer_and_the_thread_that_starts_it_goes_on_as_before():
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    seen: list[tuple[int, int]] = []
    with starting_pollers():
        poller = threading.Thread(target=lambda: seen.append(slack_and_policy()))
        poller.start()
    poller.join()
    other = threading.Thread(target=lambda: seen.append(slack_and_policy()))
    other.start()
    other.join()
    assert seen == [(700_000, os.SCHED_OTHER), (1, before[0])]
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_a_core_that_is_not_there_is_refused_with_those_that_are():
    # in a process of its own, as it changes the collector and the scheduling of the one that asks
    module = "carp_ros.control.realtime"
    code = f"import {module} as asked; asked.request_realtime(0, 1023, required=False)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "DeviceError: servo.cpu is 1023; this process may run on the cores [" in run.stderr
