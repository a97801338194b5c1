"""What of a pointer's readings may move the arm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.hardware.pointer_trust import MOST_DEFLECTION, UNTOUCHED_NS, PointerTrust, RawState
from carp_ros.types import PointerFault

TICK_NS = 10_000_000
DEAD_ZONE, TIMEOUT_S = 0.1, 1.0
PUSHED = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
REST = np.zeros(6)


class Bench:
    """A device that is read at 100 Hz."""

    def __init__(self) -> None:
        self.trust = PointerTrust(DEAD_ZONE, TIMEOUT_S)
        self.now_ns = 0

    def read(
        self, deflections=REST, deadman=False, seconds=0.01, reported=True, gripper=False, wishes=()
    ):
        """Return the last state of that many seconds."""
        for _ in range(max(1, round(seconds * 1e9 / TICK_NS))):
            raw = RawState(deflections, deadman, gripper, frozenset(wishes), reported, True)
            state = self.trust.judge(raw, self.now_ns)
            self.now_ns += TICK_NS
        return state


@pytest.fixture
def bench():
    bench = Bench()
    bench.read(seconds=1.0)
    return bench


def moves(state):
    return state.deflections.any() or any(state.buttons) or bool(state.wishes)


def test_what_was_at_rest_is_passed_on(bench):
    state = bench.read(PUSHED, deadman=True)
    np.testing.assert_array_equal(state.deflections, PUSHED)
    assert state.buttons == (True, False)
    assert state.refusal is None


@pytest.mark.parametrize("axis", range(6))
def test_an_axis_that_hangs_from_the_start_moves_nothing_and_is_named(axis):
    bench = Bench()
    stuck = 0.3 * np.eye(6)[axis]
    for _ in range(500):
        state = bench.read(stuck, deadman=True)
        assert not moves(state)
    assert state.refusal.code is PointerFault.OFF_CENTRE
    assert ("x", "y", "z", "roll", "pitch", "yaw")[axis] + " 0.30" in state.refusal.text


def test_an_axis_that_drifts_within_the_dead_zone_is_at_rest():
    bench = Bench()
    bench.read(np.full(6, 0.9 * DEAD_ZONE), seconds=1.0)
    assert bench.read(PUSHED, deadman=True).refusal is None


def test_a_button_held_from_the_start_moves_nothing_until_it_was_let_go():
    bench = Bench()
    assert bench.read(PUSHED, deadman=True, seconds=2.0).refusal.code is PointerFault.OFF_CENTRE
    assert bench.read(deadman=True, seconds=2.0).refusal.code is PointerFault.BUTTON_HELD
    assert bench.read(gripper=True, seconds=2.0).refusal.code is PointerFault.BUTTON_HELD
    assert bench.read(wishes=["keep"], seconds=2.0).refusal.code is PointerFault.BUTTON_HELD
    bench.read(seconds=UNTOUCHED_NS * 1e-9 + 0.02)
    assert moves(bench.read(PUSHED, deadman=True))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 93.6, -(MOST_DEFLECTION + 1e-9)])
def test_a_reading_that_is_no_deflection_is_refused_and_lets_go_of_the_dead_man(bench, value):
    bench.read(PUSHED, deadman=True)
    bad = PUSHED.copy()
    bad[3] = value
    state = bench.read(bad, deadman=True)
    assert not moves(state)
    assert state.refusal.code is PointerFault.OUT_OF_RANGE
    held = bench.read(PUSHED, deadman=True, seconds=1.0)
    assert not moves(held), "a sound reading while it is still held"
    assert held.refusal.code is PointerFault.OUT_OF_RANGE
    bench.read(seconds=0.5)
    assert moves(bench.read(PUSHED, deadman=True))


def test_a_dead_man_held_in_silence_is_released_and_comes_back_only_when_pressed_anew(bench):
    assert moves(bench.read(PUSHED, deadman=True, reported=True))
    assert moves(bench.read(PUSHED, deadman=True, reported=False, seconds=TIMEOUT_S))
    state = bench.read(PUSHED, deadman=True, reported=False, seconds=0.02)
    assert not moves(state)
    assert state.refusal.code is PointerFault.SILENT
    assert not moves(bench.read(PUSHED, deadman=True, reported=True, seconds=3.0))
    bench.read(seconds=0.5)
    assert moves(bench.read(PUSHED, deadman=True))


def test_silence_while_nothing_is_held_costs_nothing(bench):
    bench.read(reported=False, seconds=20 * TIMEOUT_S)
    assert moves(bench.read(PUSHED, deadman=True))


steps = st.tuples(
    st.lists(
        st.one_of(st.floats(-1.5, 1.5), st.floats(allow_nan=True, allow_infinity=True)),
        min_size=6,
        max_size=6,
    ).map(np.array),
    st.booleans(),
    st.booleans(),
    st.integers(1, 60),
)


@given(st.lists(steps, max_size=12))
def test_whatever_a_device_says_what_is_passed_on_is_a_deflection_and_was_pressed(sequence):
    bench = Bench()
    for deflections, deadman, reported, ticks in sequence:
        state = bench.read(deflections, deadman, ticks * 0.01, reported)
        assert (np.abs(state.deflections) <= 1.0).all()
        assert state.buttons[0] <= deadman
        assert state.refusal is None or not moves(state)
