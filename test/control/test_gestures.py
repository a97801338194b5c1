"""Tests for control/gestures.py: they are recognised, and teleoperation is not disturbed."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.gestures import HELD_NS, TOGETHER_NS, Gestures
from carp_ros.control.mapping import TeleopMapping
from carp_ros.rig import TeleopConfig
from carp_ros.types import PointerState

TICK_NS = 10_000_000
PUSHED = np.array([1.0, 0, 0, 0, 0, 0])


class Hand:
    """Presses buttons of a pointer that is read at 100 Hz."""

    def __init__(self) -> None:
        self._gestures = Gestures()
        self.now_ns = 0
        self.seen: list[PointerState] = []
        self.gestures: list[str] = []

    def hold(self, deadman: bool, gripper: bool, seconds: float, *, connected: bool = True) -> None:
        for _ in range(round(seconds * 1e9 / TICK_NS)):
            state = PointerState(PUSHED, (deadman, gripper), connected)
            seen, gesture = self._gestures.take(state, self.now_ns)
            self.seen.append(seen)
            self.gestures += [gesture] if gesture else []
            self.now_ns += TICK_NS

    def gripper_presses(self) -> int:
        """How often the gripper is toggled by what the gestures let through."""
        mapping = TeleopMapping(TeleopConfig())
        closures = [0.0, *(mapping.map(state, 0).gripper for state in self.seen)]
        return sum(a != b for a, b in pairwise(closures))


def test_both_buttons_toggle_and_reach_neither_arm_nor_gripper():
    hand = Hand()
    hand.hold(False, False, 0.2)
    hand.hold(False, True, 0.05)
    hand.hold(True, True, 0.3)
    hand.hold(True, False, 0.1)
    hand.hold(False, False, 0.2)
    assert hand.gestures == ["toggle"]
    assert hand.gripper_presses() == 0
    assert not any(state.buttons[0] for state in hand.seen)


def test_the_dead_man_may_come_first():
    hand = Hand()
    hand.hold(False, False, 0.2)
    hand.hold(True, False, 0.05)
    hand.hold(True, True, 0.3)
    hand.hold(False, False, 0.2)
    assert hand.gestures == ["toggle"]
    assert hand.gripper_presses() == 0


def test_both_buttons_held_discard_once_and_do_not_toggle():
    hand = Hand()
    hand.hold(True, True, HELD_NS * 1e-9 + 1.0)
    hand.hold(False, False, 0.2)
    assert hand.gestures == ["discard"]


def test_a_grasp_while_the_dead_man_is_held_is_no_gesture_and_not_late():
    hand = Hand()
    hand.hold(False, False, 0.1)
    hand.hold(True, False, 0.5)
    before = len(hand.seen)
    hand.hold(True, True, 0.3)
    assert hand.seen[before].buttons == (True, True)
    assert hand.gestures == []


def test_a_short_tap_of_the_gripper_button_alone_comes_through_once():
    hand = Hand()
    hand.hold(False, False, 0.1)
    hand.hold(False, True, 0.03)
    hand.hold(False, False, 0.3)
    assert hand.gripper_presses() == 1


def test_a_grasp_is_one_press_though_the_dead_man_is_let_go_meanwhile():
    hand = Hand()
    hand.hold(False, False, 0.1)
    hand.hold(True, False, 0.11)
    hand.hold(True, True, 0.01)
    hand.hold(False, True, 0.01)
    hand.hold(False, False, 0.3)
    assert hand.gripper_presses() == 1


def test_letting_go_of_the_dead_man_is_never_late():
    hand = Hand()
    hand.hold(True, False, 0.5)
    hand.hold(False, False, 0.01)
    assert not hand.seen[-1].buttons[0]


def test_a_mouse_unplugged_within_a_gesture_gives_none():
    hand = Hand()
    hand.hold(True, True, 0.3)
    hand.hold(True, True, 0.1, connected=False)
    hand.hold(False, False, 0.3)
    assert hand.gestures == []


presses = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(1, 200)), min_size=1, max_size=30
)


@given(presses)
def test_the_arm_never_moves_unless_the_dead_man_is_held(presses):
    hand = Hand()
    held: list[bool] = []
    for deadman, gripper, ticks in presses:
        hand.hold(deadman, gripper, ticks * TICK_NS * 1e-9)
        held += [deadman] * ticks
    assert all(down for state, down in zip(hand.seen, held) if state.buttons[0])


@given(presses)
def test_each_press_of_the_gripper_is_a_gesture_or_one_press_and_never_more(presses):
    hand = Hand()
    hand.hold(False, False, 0.1)
    real, was_down = 0, False
    for deadman, gripper, ticks in presses:
        hand.hold(deadman, gripper, ticks * TICK_NS * 1e-9)
        real += gripper and not was_down
        was_down = gripper
    hand.hold(False, False, 2 * TOGETHER_NS * 1e-9)
    assert hand.gripper_presses() + len(hand.gestures) <= real
