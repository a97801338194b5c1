"""Tests for hardware/depth_pairing.py: what the synchroniser delivers, and what comes of it."""

from hypothesis import given
from hypothesis import strategies as st

from carp_ros.hardware.depth_pairing import DepthPairing

PERIOD_MS = 33.3


def paired(sets):
    """Feed (colour number, depth number or None); return what comes out."""
    pairing = DepthPairing(PERIOD_MS / 2)
    out = []
    for colour, depth in sets:
        apart_ms = None if depth is None else (colour - depth) * PERIOD_MS
        out += pairing.take(colour, colour, depth, apart_ms)
    return out + pairing.give_up()


def test_a_pair_comes_out_at_once():
    assert DepthPairing(16.0).take(7, "colour", "frames", 1.0) == [("colour", "frames")]


def test_an_image_waits_for_its_depth_and_no_longer_than_for_the_next_image():
    assert paired([(6, 5), (6, 6), (7, 6), (8, 8)]) == [(6, 6), (7, None), (8, 8)]


def test_a_repeated_image_comes_out_once():
    assert paired([(4, 4), (4, 5), (5, 5), (5, 5)]) == [(4, 4), (5, 5)]


@given(st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.integers(-2, 2))), max_size=40))
def test_each_colour_image_comes_out_once_in_order_with_its_own_depth_or_none(steps):
    number, sets = 1, []
    for is_next, behind in steps:
        number += is_next
        sets.append((number, None if behind is None else number - behind))
    out = paired(sets)

    assert [colour for colour, _ in out] == sorted({colour for colour, _ in sets})
    assert all(depth in (None, colour) for colour, depth in out)
    # depth is given up only where it came too late: after the next image
    with_depth = {colour for colour, depth in sets if depth == colour}
    assert {colour for colour, depth in out if depth is not None} == with_depth
