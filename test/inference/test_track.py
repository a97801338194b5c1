from hypothesis import given
from hypothesis import strategies as st

from carp_ros.inference.track import SET_BACK_NS, Track

MS = 1_000_000


def track(stamps_ms):
    samples = Track[int]("pose", 10.0, 0.5)
    for stamp_ms in stamps_ms:
        samples.take(stamp_ms * MS, stamp_ms)
    return samples


@given(st.integers(1, 9), st.integers(SET_BACK_NS // MS, 5000))
def test_one_that_is_late_is_left_out_and_costs_the_others_nothing(place, late_ms):
    stamps_ms = [10_000 + 10 * tick for tick in range(10)]
    late = [*stamps_ms[:place], stamps_ms[place - 1] - late_ms, *stamps_ms[place:]]
    assert track(late).stamps_ns == track(stamps_ms).stamps_ns


@given(st.integers(SET_BACK_NS // MS + 10, 5000))
def test_a_clock_that_was_set_back_begins_anew_with_all_that_came_since(back_ms):
    before = [10_000, 10_010]
    after = [10_010 - back_ms + 10 * tick for tick in range(3)]
    assert track([*before, *after]).stamps_ns == [stamp_ms * MS for stamp_ms in after]


def test_two_that_are_late_apart_from_each_other_are_no_clock():
    assert track([1000, 500, 1010, 510, 1020]).stamps_ns == [1000 * MS, 1010 * MS, 1020 * MS]
