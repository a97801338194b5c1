"""Tests for control/plan_clock.py: how late plans are, now and a while ago."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.plan_clock import PlanClock

TICK_NS = 2_000_000


def after(scalings):
    """Return a clock that has seen one scaling a tick, and the lag after each of them."""
    clock, lags = PlanClock(), [0]
    clock.advance(0, 1.0)
    for i, scaling in enumerate(scalings, start=1):
        clock.advance(i * TICK_NS, scaling)
        lags.append(clock.lag_ns)
    return clock, lags


@given(st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=1, max_size=60))
def test_the_lag_is_what_was_not_executed_and_is_remembered(scalings):
    clock, lags = after(scalings)

    assert clock.lag_ns == pytest.approx(sum(1.0 - s for s in scalings) * TICK_NS, abs=100)
    for i, lag in enumerate(lags):
        assert clock.lag_at(i * TICK_NS) == lag
    assert clock.lag_at(len(scalings) * TICK_NS + 1) == clock.lag_ns
    assert clock.lag_at(-TICK_NS) == 0


def test_between_two_ticks_the_lag_grows_evenly():
    clock, lags = after([0.5, 0.5])

    assert clock.lag_at(TICK_NS + TICK_NS // 2) == (lags[1] + lags[2]) // 2


def test_at_full_speed_a_plan_is_on_time():
    clock, _ = after([1.0] * 100)

    assert clock.plan_ns(100 * TICK_NS, clock.lag_at(50 * TICK_NS)) == 100 * TICK_NS


def test_a_plan_made_while_slowed_is_late_by_what_passed_since():
    clock, lags = after([0.5] * 100)

    made_at = clock.lag_at(40 * TICK_NS)
    assert clock.plan_ns(100 * TICK_NS, made_at) == 70 * TICK_NS
    assert lags[-1] == 50 * TICK_NS
