import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.hardware.ur_safety import UrSafetyMode, safety_of
from carp_ros.types import SafetyState

KNOWN = {int(mode) for mode in UrSafetyMode}


@pytest.mark.parametrize("mode", UrSafetyMode)
def test_a_mode_either_lets_the_arm_move_or_says_what_a_person_does(mode):
    state, explanation = safety_of(int(mode))

    assert state.may_move == mode.may_move == (mode.name in ("NORMAL", "REDUCED"))
    assert bool(explanation) != state.may_move


@given(st.integers(-(2**31), 2**31 - 1).filter(lambda number: number not in KNOWN))
def test_a_number_of_a_newer_controller_allows_no_motion_and_is_told(number):
    state, explanation = safety_of(number)

    assert state is SafetyState.UNKNOWN
    assert str(number) in explanation


def test_both_emergency_stops_are_one_state_and_two_explanations():
    robot = safety_of(UrSafetyMode.ROBOT_EMERGENCY_STOP)
    system = safety_of(UrSafetyMode.SYSTEM_EMERGENCY_STOP)

    assert robot[0] is system[0] is SafetyState.EMERGENCY_STOP
    assert robot[1] != system[1]
