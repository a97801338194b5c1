from hypothesis import given
from hypothesis import strategies as st

from carp_ros.nodes.wall_clock import WallClock

S = 1_000_000_000
NOW_NS = 1_700_000_000 * S


@given(st.integers(-10 * 365 * 86_400, 10 * 365 * 86_400).filter(bool))
def test_a_clock_that_is_set_is_noticed_once_and_by_how_much(jump_s):
    clock = WallClock()
    assert clock.jump_ns(5 * S, NOW_NS) == 0
    assert clock.jump_ns(6 * S, NOW_NS + S) == 0
    assert clock.jump_ns(7 * S, NOW_NS + 2 * S + jump_s * S) == jump_s * S
    assert clock.jump_ns(8 * S, NOW_NS + 3 * S + jump_s * S) == 0


@given(st.lists(st.integers(-49_000_000, 49_000_000), max_size=20))
def test_a_clock_that_is_adjusted_little_by_little_was_not_set(steps_ns):
    clock, wall_ns = WallClock(), NOW_NS
    for number, step_ns in enumerate(steps_ns):
        wall_ns += S + step_ns
        assert clock.jump_ns(number * S, wall_ns) == 0
