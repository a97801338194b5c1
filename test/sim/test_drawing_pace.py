"""Tests for sim/drawing_pace.py."""

from hypothesis import given
from hypothesis import strategies as st

from carp_ros.sim.drawing_pace import DrawingPace


def draw(pace, busy_s, seconds):
    """Draw moments that take as long, and return the rates in [Hz] at which that was done."""
    rates, left_s = [pace.rate_hz], seconds
    while left_s > 0.0:
        left_s -= max(busy_s, 1.0 / pace.rate_hz)
        if pace.drawn(busy_s):
            rates.append(pace.rate_hz)
    return rates


def test_a_fast_renderer_draws_as_often_as_wanted():
    assert draw(DrawingPace(30.0), 0.02, 60.0) == [30.0]


def test_one_that_never_rests_draws_every_second_moment_then_every_third():
    assert draw(DrawingPace(60.0), 0.02, 60.0) == [60.0, 30.0]
    assert draw(DrawingPace(60.0), 0.04, 60.0) == [60.0, 30.0, 20.0]


def test_it_never_draws_so_rarely_that_images_get_old():
    assert draw(DrawingPace(30.0), 1.0, 600.0) == [30.0, 15.0, 10.0]
    assert draw(DrawingPace(15.0), 1.0, 600.0) == [15.0]


def test_on_a_machine_that_was_busy_for_a_while_it_draws_as_wanted_again():
    pace = DrawingPace(30.0)
    draw(pace, 0.05, 10.0)
    assert draw(pace, 0.012, 20.0) == [15.0, 30.0]


def test_one_slow_moment_changes_nothing():
    pace = DrawingPace(30.0)
    draw(pace, 0.015, 2.0)
    assert not pace.drawn(0.1)


@given(st.floats(0.0, 0.2))
def test_it_does_not_swing_between_two_rates(busy_s):
    rates = draw(DrawingPace(30.0), busy_s, 300.0)
    assert rates == sorted(rates, reverse=True)
