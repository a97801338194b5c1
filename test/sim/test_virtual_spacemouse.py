"""Tests for sim/virtual_spacemouse.py: what the hand does is what the driver reads."""

import easyhid.easyhid
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig_pointers import SpaceMouseConfig
from carp_ros.sim.virtual_spacemouse import VirtualSpaceMouse
from carp_ros.types import PointerFault

NOW_NS = 0


def at_rest(mouse):
    """Let half a second pass in which nobody touches the mouse."""
    for t in range(-500, 0, 10):
        mouse.read(NOW_NS + t * 1_000_000)


deflections = st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6).map(np.array)


@pytest.fixture
def hand(monkeypatch):
    monkeypatch.setattr(easyhid.easyhid, "hidapi", None)  # restored after the test
    hand = VirtualSpaceMouse()
    hand.install()
    return hand


@pytest.fixture
def mouse(hand):
    mouse = SpaceMouse(SpaceMouseConfig())
    mouse.open()
    at_rest(mouse)
    yield mouse
    mouse.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deflections, st.tuples(st.booleans(), st.booleans()))
def test_deflections_and_buttons_survive_the_hid_reports(hand, mouse, pushed, buttons):
    hand.move(pushed, buttons)
    state = mouse.read(0)

    np.testing.assert_allclose(state.deflections, pushed, atol=0.5 / 350 + 1e-12)
    assert state.buttons == buttons


def test_the_reports_are_those_of_a_real_mouse(hand, mouse):
    # Raw counts as a SpaceMouse sends them: pushed right, pulled to the user, lifted a little.
    hand._hidapi.send(bytes([1, *np.array([350, 175, -70], "<i2").tobytes()]))

    np.testing.assert_allclose(mouse.read(0).deflections, [-0.5, -1.0, 0.2, 0, 0, 0])


def test_a_hand_that_overshoots_is_at_full_deflection(hand, mouse):
    hand.move(np.full(6, -1e6), (False, False))

    np.testing.assert_array_equal(mouse.read(0).deflections, -np.ones(6))


def test_a_centred_mouse_is_silent_after_it_said_so_once(hand, mouse):
    hand.move(np.ones(6), (False, False))
    hand.move(np.zeros(6), (False, False))
    assert not mouse.read(0).deflections.any()
    for _ in range(10):
        hand.move(np.zeros(6), (False, False))

    assert not hand._hidapi.waiting


def test_a_button_that_is_held_while_the_mouse_is_plugged_in_is_reported(hand, mouse):
    hand.move(np.zeros(6), (True, False))
    hand.unplug()
    hand.plug()
    mouse.open()
    hand.move(np.zeros(6), (True, False))

    refusal = mouse.read(0).refusal  # a button that was held all along moves nothing
    assert refusal is not None
    assert refusal.code is PointerFault.BUTTON_HELD
