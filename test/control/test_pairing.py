"""Tests for control/pairing.py: halves in any order, some of them lost."""

import re

from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.pairing import Pairing

MS = 1_000_000
NAMES = ("chunk", "gripper_chunk")


@given(st.permutations([(half, stamp) for half in (0, 1) for stamp in (1, 2, 3)]))
def test_each_pair_is_found_once_whatever_comes_first(order):
    pairing = Pairing(NAMES)
    pairs = []
    for half, stamp in order:
        take = (pairing.take_first, pairing.take_second)[half]
        pairs.append(take(stamp, (NAMES[half], stamp), 0))

    found = [pair for pair in pairs if pair is not None]
    assert sorted(found) == [((NAMES[0], stamp), (NAMES[1], stamp)) for stamp in (1, 2, 3)]
    assert pairing.refused(10**12) == []


def test_a_half_whose_other_never_comes_is_refused_by_name_and_once():
    pairing = Pairing(NAMES, wait_s=0.25)
    pairing.take_first(7, "poses", 0)
    pairing.take_second(8, "closures", 0)
    assert pairing.refused(250 * MS) == []

    first, second = pairing.refused(251 * MS)

    assert re.match("chunk of stamp 7 ns arrived without its gripper_chunk for 0.25 s", first)
    assert re.match("gripper_chunk of stamp 8 ns arrived without its chunk", second)
    assert pairing.refused(10**12) == []
    assert pairing.take_second(7, "closures", 10**12) is None  # too late


def test_no_flood_of_halves_is_kept():
    pairing = Pairing(NAMES, most=4)
    refused = []
    for stamp in range(1000):
        pairing.take_first(stamp, "poses", 0)
        refused += pairing.refused(0)

    assert len(refused) == 996
    assert pairing.take_second(999, "closures", 0) == ("poses", "closures")
