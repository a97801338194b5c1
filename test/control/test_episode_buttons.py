"""Tests for control/episode_buttons.py."""

import numpy as np

from carp_ros.control.episode_buttons import EpisodeButtons
from carp_ros.control.gestures import HELD_NS
from carp_ros.types import PointerFault, PointerRefusal, PointerState

TICK_NS = 10_000_000
REFUSAL = PointerRefusal(PointerFault.SILENT, "")


class Hand:
    """Presses buttons of a pointer that is read at 100 Hz."""

    def __init__(self) -> None:
        self.buttons = EpisodeButtons()
        self.now_ns = 0
        self.wishes: list[str] = []
        self.hold()

    def hold(self, *pressed, seconds=0.1, connected=True, refusal=None):
        for _ in range(round(seconds * 1e9 / TICK_NS)):
            state = PointerState(
                np.zeros(6), (), connected, wishes=frozenset(pressed), refusal=refusal
            )
            self.wishes += self.buttons.take(state, self.now_ns)
            self.now_ns += TICK_NS


def test_a_press_makes_one_wish_however_long_it_is_held():
    hand = Hand()
    hand.hold("success", seconds=3.0)
    hand.hold()
    hand.hold("success")
    assert hand.wishes == ["success", "success"]


def test_what_is_lost_for_good_must_be_held():
    hand = Hand()
    hand.hold("discard", seconds=HELD_NS * 1e-9 - 0.1)
    hand.hold()
    assert hand.wishes == []
    hand.hold("discard", seconds=HELD_NS * 1e-9 + 3.0)
    assert hand.wishes == ["discard"]


def test_a_button_that_is_down_at_first_counts_once_it_was_let_go():
    hand = Hand()
    hand.buttons = EpisodeButtons()
    hand.hold("toggle")
    assert hand.wishes == []
    hand.hold()
    hand.hold("toggle")
    assert hand.wishes == ["toggle"]


def test_a_button_held_while_the_pointer_was_away_or_refused_makes_no_wish():
    for away in ({"connected": False}, {"refusal": REFUSAL}):
        hand = Hand()
        hand.hold(**away)
        hand.hold("toggle", "discard", seconds=5.0)
        assert hand.wishes == []


def test_two_buttons_at_once_make_two_wishes():
    hand = Hand()
    hand.hold("stop", "failure")
    assert hand.wishes == ["stop", "failure"]
