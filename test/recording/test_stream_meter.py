"""Tests for stream_meter.py: rate, gaps and order of stamped messages."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.recording.stream_meter import StreamMeter

PERIOD_NS = 10_000_000
starts = st.integers(0, 2**60)


def metered(stamps):
    meter = StreamMeter(100.0)
    for stamp_ns in stamps:
        meter.add(stamp_ns)
    return meter


def test_before_the_first_message_nothing_is_expected():
    meter = metered([])

    assert (meter.received, meter.expected(10**18), meter.share(10**18)) == (0, 0, 0.0)
    assert (meter.span_ns, meter.largest_gap_ns, meter.out_of_order) == (0, 0, 0)


@given(starts, st.integers(2, 50))
def test_a_whole_stream_has_its_rate_its_period_as_gap_and_its_order(start_ns, count):
    meter = metered([start_ns + i * PERIOD_NS for i in range(count)])

    assert meter.received == count
    assert meter.span_ns == (count - 1) * PERIOD_NS
    assert meter.largest_gap_ns == PERIOD_NS
    assert meter.out_of_order == 0
    assert meter.expected(start_ns + count * PERIOD_NS) == count
    assert meter.share(start_ns + count * PERIOD_NS) == 1.0


@given(starts, st.sets(st.integers(1, 99), max_size=60))
def test_lost_messages_lower_the_share_and_widen_the_gap(start_ns, lost):
    kept = [i for i in range(100) if i not in lost]
    meter = metered([start_ns + i * PERIOD_NS for i in kept])

    assert meter.share(start_ns + 100 * PERIOD_NS) == pytest.approx(len(kept) / 100)
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert meter.largest_gap_ns == max(gaps, default=0) * PERIOD_NS


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_a_message_that_is_not_newer_than_all_before_is_out_of_order(stamps):
    meter = metered(stamps)

    late = [s for i, s in enumerate(stamps) if i and s <= max(stamps[:i])]
    assert meter.out_of_order == len(late)
    assert meter.received == len(stamps)
    assert meter.span_ns == max(stamps) - stamps[0]


def test_from_the_first_message_on_one_is_expected():
    meter = metered([5 * PERIOD_NS])

    assert meter.expected(5 * PERIOD_NS) == 1
    assert meter.share(5 * PERIOD_NS) == 1.0
    assert meter.share(9 * PERIOD_NS) == 0.25


def test_after_a_reset_the_next_message_is_the_first():
    meter = metered([0, 7 * PERIOD_NS, PERIOD_NS])
    meter.reset()
    assert (meter.received, meter.out_of_order, meter.largest_gap_ns, meter.span_ns) == (0, 0, 0, 0)

    meter.add(3 * PERIOD_NS)
    assert (meter.received, meter.out_of_order, meter.largest_gap_ns, meter.span_ns) == (1, 0, 0, 0)


def test_a_stream_that_begins_at_zero_has_a_span():
    meter = StreamMeter(10.0)
    for stamp_ns in (0, 100_000_000, 200_000_000):
        meter.add(stamp_ns)
    assert meter.span_ns == 200_000_000
