"""Tests for hardware/franka_safety.py: each mode of the robot has a state and a remedy."""

import franky
import pytest

from carp_ros.hardware.franka_safety import ERROR_NAMES, errors_in_words, safety_of
from carp_ros.types import SafetyState

MODES = franky.RobotMode.__members__


@pytest.mark.parametrize("name", MODES)
def test_only_an_idle_or_moving_robot_may_move_and_any_other_says_what_to_do(name):
    state, remedy = safety_of(MODES[name], franky.Errors())
    assert state.may_move == (name in ("Idle", "Move"))
    assert bool(remedy) != state.may_move
    assert (state is SafetyState.UNKNOWN) == (name == "Other")


def test_the_errors_are_those_of_libfranka_and_none_is_none():
    assert len(ERROR_NAMES) == 41
    assert errors_in_words(franky.Errors()) == ""
