import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.policies.latency import LatencyTracker, RollingQuantile


def tracker_of(latencies, budget_s=0.5):
    tracker = LatencyTracker(budget_s)
    for latency_s in latencies:
        tracker.add(latency_s)
    return tracker


def test_the_first_three_do_not_count_they_are_cold():
    assert tracker_of([9.0, 9.0, 9.0]).p95_s is None
    assert tracker_of([9.0, 9.0, 9.0, 0.1]).p95_s == 0.1


def test_one_hiccup_in_fifty_is_not_planned_for():
    assert tracker_of([0.1] * 40 + [0.4] + [0.1] * 12).p95_s == 0.1


def test_what_happens_often_is():
    assert tracker_of([0.1, 0.1, 0.1, 0.4] * 20).p95_s == 0.4


def test_what_is_long_ago_is_forgotten():
    assert tracker_of([0.4] * 30 + [0.1] * 50).p95_s == 0.1


@pytest.mark.parametrize(("latency_s", "steps"), [(0.0, 1), (0.05, 1), (0.15, 2), (0.31, 4)])
def test_the_steps_due_before_the_chunk_arrives_are_late(latency_s, steps):
    assert tracker_of([latency_s] * 10).late_steps(0.1) == steps


def test_nothing_is_said_of_late_steps_before_anything_was_measured():
    assert LatencyTracker(0.5).late_steps(0.1) == 0


def test_latencies_over_budget_are_counted_cold_ones_too():
    tracker = LatencyTracker(0.5)
    assert [tracker.add(s) for s in (0.9, 0.4, 0.5, 0.6)] == [False, True, True, False]
    assert tracker.over_budget == 2


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_a_quantile_is_a_value_that_was_seen_and_not_below_its_share(values, quantile):
    rolling = RollingQuantile(quantile, window=60)
    for value in values:
        rolling.add(value)
    assert rolling.value in values
    assert sum(value <= rolling.value for value in values) >= quantile * (len(values) - 1)
