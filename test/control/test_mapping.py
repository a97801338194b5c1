"""Tests for control/mapping.py."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.mapping import TeleopMapping
from carp_ros.rig import TeleopConfig
from carp_ros.types import PointerState

CONFIG = TeleopConfig()
DEADMAN, GRIPPER = (True, False), (False, True)
RELEASED = (False, False)

deflection = st.floats(-1.0, 1.0)
deflections = st.lists(deflection, min_size=6, max_size=6).map(np.array)
configs = st.builds(
    TeleopConfig,
    linear_speed_m_s=st.floats(0.01, 1.0),
    angular_speed_rad_s=st.floats(0.01, 3.0),
    dead_zone=st.floats(0.0, 0.5),
    exponent=st.floats(0.5, 3.0),
    signs=st.tuples(*[st.sampled_from([1.0, -1.0])] * 6),
)


def reading(values=None, buttons=DEADMAN, connected=True):
    return PointerState(np.zeros(6) if values is None else values, buttons, connected)


def twist(values, config=CONFIG):
    twist = TeleopMapping(config).map(reading(values), now_ns=0).twist
    return np.concatenate([twist.linear, twist.angular])


@given(configs, deflections)
def test_no_deflection_asks_for_more_than_the_configured_speeds(config, values):
    speeds = twist(values, config)

    assert np.linalg.norm(speeds[:3]) <= config.linear_speed_m_s * (1 + 1e-12)
    assert np.linalg.norm(speeds[3:]) <= config.angular_speed_rad_s * (1 + 1e-12)


@given(configs, st.integers(0, 5))
def test_full_deflection_of_one_axis_asks_for_its_full_speed_along_that_axis(config, axis):
    speeds = twist(np.eye(6)[axis], config)

    full = config.linear_speed_m_s if axis < 3 else config.angular_speed_rad_s
    np.testing.assert_allclose(speeds, np.eye(6)[axis] * full * config.signs[axis])


@given(configs, st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6).map(np.array))
def test_inside_the_dead_zone_nothing_moves(config, fractions):
    assert not twist(fractions * config.dead_zone, config).any()


@given(configs, deflections)
def test_the_opposite_deflection_asks_for_the_opposite_twist(config, values):
    np.testing.assert_array_equal(twist(-values, config), -twist(values, config))


@given(deflections, deflections)
def test_the_twist_never_steps_while_the_deflection_glides(start, end):
    # The default curve rises by at most exponent / (1 - dead zone) a unit of deflection, and the
    # shortening of diagonals never lengthens a difference.
    path = np.linspace(start, end, 200)
    slope = CONFIG.exponent / (1.0 - CONFIG.dead_zone)
    bound = slope * np.linalg.norm(path[1] - path[0]) * (1 + 1e-6) + 1e-12

    steps = np.diff([twist(values) for values in path], axis=0)

    assert np.linalg.norm(steps[:, :3], axis=1).max() <= CONFIG.linear_speed_m_s * bound
    assert np.linalg.norm(steps[:, 3:], axis=1).max() <= CONFIG.angular_speed_rad_s * bound


@given(
    st.lists(
        st.builds(reading, deflections, st.tuples(st.booleans(), st.booleans()), st.booleans())
    )
)
def test_motion_needs_a_connected_pointer_and_a_held_deadman(states):
    mapping = TeleopMapping(CONFIG)
    for state in states:
        command = mapping.map(state, now_ns=0)

        assert command.deadman == (state.connected and state.buttons[CONFIG.deadman_button])
        if not command.deadman:
            assert not command.twist.linear.any()
            assert not command.twist.angular.any()


def gripper_after(*states):
    mapping = TeleopMapping(CONFIG)
    return [mapping.map(state, now_ns=0).gripper for state in states]


def test_each_press_toggles_the_gripper_once_however_long_it_is_held():
    up, down = reading(buttons=RELEASED), reading(buttons=GRIPPER)

    assert gripper_after(up, down, down, down, up, up, down, up) == [0, 1, 1, 1, 1, 1, 0, 0]


def test_a_button_that_is_down_from_the_start_toggles_nothing_until_released():
    up, down = reading(buttons=RELEASED), reading(buttons=GRIPPER)

    assert gripper_after(down, down, up, down) == [0, 0, 0, 1]


def test_unplugging_keeps_the_gripper_and_a_button_held_across_it_toggles_nothing():
    up, down = reading(buttons=RELEASED), reading(buttons=GRIPPER)
    gone, gone_down = reading(connected=False), reading(buttons=GRIPPER, connected=False)

    assert gripper_after(up, down, up, gone, gone_down, gone, down, up, down) == [
        0, 1, 1, 1, 1, 1, 1, 1, 0,
    ]  # fmt: skip


def test_a_pointer_without_the_buttons_never_moves_the_arm():
    command = TeleopMapping(CONFIG).map(reading(np.ones(6), buttons=()), now_ns=0)

    assert not command.deadman
    assert not command.twist.linear.any()


def test_the_command_carries_the_time_of_the_reading():
    assert TeleopMapping(CONFIG).map(reading(), now_ns=123).stamp_ns == 123


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dead_zone": 1.0}, "dead_zone is 1.0; expected 0 to below 1"),
        ({"exponent": 0.0}, "exponent is 0.0; expected a number above 0"),
        ({"linear_speed_m_s": float("nan")}, "linear_speed_m_s is nan"),
        ({"signs": (1.0, 1.0, 0.5, 1.0, 1.0, 1.0)}, "expected 1 or -1 for each axis"),
        ({"gripper_button": 0}, "expected two different buttons"),
        ({"deadman_button": -1}, "expected two different buttons"),
    ],
)
def test_numbers_that_make_no_mapping_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TeleopMapping(dataclasses.replace(CONFIG, **change))
