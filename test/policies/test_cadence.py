import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.policies.cadence import Cadence

MS = 1_000_000
START_NS = 50_000 * MS
STAMPS_NS = 900_000 * MS  # of another clock


def cadence(period_ms=800):
    made = Cadence(period_ms * MS, 100 * MS, 200 * MS)
    made.restart(START_NS)
    return made


def test_nothing_is_asked_before_it_is_due():
    made = cadence()
    assert made.offer(START_NS, STAMPS_NS)
    made.asked(START_NS)
    assert not made.offer(START_NS + 799 * MS, STAMPS_NS + 799 * MS)
    assert made.offer(START_NS + 800 * MS, STAMPS_NS + 800 * MS)


def test_a_plan_is_near_some_time_before_it_is_due_and_until_it_is_asked_for():
    made = cadence()
    made.asked(START_NS)
    due_ns = START_NS + 800 * MS
    assert not made.is_near(due_ns - 51 * MS, 50 * MS)
    assert made.is_near(due_ns - 50 * MS, 50 * MS)
    assert made.is_near(due_ns + 30 * MS, 50 * MS)
    made.asked(due_ns + 30 * MS)
    assert not made.is_near(due_ns + 31 * MS, 50 * MS)


def test_an_observation_that_was_whole_before_it_was_due_is_not_asked_about():
    made = cadence()
    made.asked(START_NS)
    old_ns = STAMPS_NS + 790 * MS
    assert not made.offer(START_NS + 795 * MS, old_ns)
    assert not made.offer(START_NS + 801 * MS, old_ns)
    assert made.offer(START_NS + 802 * MS, old_ns + 1)


def test_what_was_offered_and_not_asked_about_is_not_new_again():
    made = cadence()
    assert made.offer(START_NS, STAMPS_NS)
    assert not made.offer(START_NS + MS, STAMPS_NS)
    assert not made.offer(START_NS + MS, STAMPS_NS - MS)
    assert not made.offer(START_NS + MS, None)  # a stream fell silent: nothing is whole
    assert not made.offer(START_NS + 2 * MS, STAMPS_NS)


def test_where_nothing_new_comes_asking_is_overdue_after_a_while():
    made = cadence()
    made.asked(START_NS)
    assert not made.is_overdue(START_NS + 899 * MS)
    assert made.is_overdue(START_NS + 900 * MS)


def test_an_attempt_that_came_to_nothing_is_made_again_soon():
    made = cadence()
    made.asked(START_NS)
    made.failed(START_NS + 50 * MS)
    assert not made.offer(START_NS + 249 * MS, STAMPS_NS)
    assert made.offer(START_NS + 250 * MS, STAMPS_NS + 1)


@given(
    period_ms=st.integers(50, 1000),
    frame_ms=st.integers(5, 100),
    phase_ms=st.integers(0, 99),
    late_ms=st.integers(0, 80),
)
def test_plans_come_at_their_rate_each_about_the_newest_frame(
    period_ms, frame_ms, phase_ms, late_ms
):
    made, asked_ms, ages_ms, seen_ms = cadence(period_ms), [], [], 0
    for now_ms in range(20_000):
        captured_ms = now_ms - late_ms - phase_ms
        if captured_ms >= 0 and captured_ms % frame_ms == 0:
            seen_ms = captured_ms + 1
        now_ns = START_NS + now_ms * MS
        if made.offer(now_ns, seen_ms * MS or None):
            made.asked(now_ns)
            asked_ms.append(now_ms)
            ages_ms.append(now_ms - phase_ms - (seen_ms - 1))
    assert set(ages_ms) == {late_ms}
    # the first was late by what the first frame was; then every period, or every frame if longer
    most = (20_000 - asked_ms[0]) / max(period_ms, frame_ms) + 2
    least = (20_000 - asked_ms[0]) / (-(-period_ms // frame_ms) * frame_ms) - 2
    assert least <= len(asked_ms) <= most
    assert np.diff(asked_ms).max() <= period_ms + frame_ms
    assert np.diff(asked_ms[1:]).min() > period_ms - frame_ms
