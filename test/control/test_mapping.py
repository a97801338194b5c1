"""Tests for control/mapping.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.mapping import TeleopMapping
from carp_ros.geometry import matrix_from_quaternion
from carp_ros.rig import TeleopConfig
from carp_ros.types import DEADMAN as DEADMAN_BUTTON
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
    axis_scale=st.tuples(*[st.floats(-1.0, 1.0)] * 6),
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
    np.testing.assert_allclose(speeds, np.eye(6)[axis] * full * config.axis_scale[axis])


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

        assert command.deadman == (state.connected and state.buttons[DEADMAN_BUTTON])
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


quaternions = (
    st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
IN_TOOL = TeleopConfig(frame="tool")


@given(deflections, quaternions)
def test_in_the_tool_frame_the_twist_is_turned_with_the_tool(values, quaternion):
    in_base = TeleopMapping(CONFIG).map(reading(values), 0).twist
    turned = TeleopMapping(IN_TOOL).map(reading(values), 0, quaternion).twist
    base_from_tool = matrix_from_quaternion(quaternion)
    np.testing.assert_allclose(turned.linear, base_from_tool @ in_base.linear, atol=1e-12)
    np.testing.assert_allclose(turned.angular, base_from_tool @ in_base.angular, atol=1e-12)


def test_a_tool_that_points_down_and_is_pushed_along_its_own_z_goes_down():
    upside_down = np.array([1.0, 0.0, 0.0, 0.0])
    twist = TeleopMapping(IN_TOOL).map(reading(np.eye(6)[2]), 0, upside_down).twist
    np.testing.assert_allclose(twist.linear, [0, 0, -IN_TOOL.linear_speed_m_s], atol=1e-12)


def test_in_the_tool_frame_nothing_moves_while_the_tool_is_unknown():
    command = TeleopMapping(IN_TOOL).map(reading(np.ones(6)), 0)
    assert command.deadman
    assert not command.twist.linear.any()
    assert not command.twist.angular.any()


@given(quaternions, deflections)
def test_in_the_base_frame_the_tool_does_not_matter(quaternion, values):
    with_tool = TeleopMapping(CONFIG).map(reading(values), 0, quaternion).twist
    without = TeleopMapping(CONFIG).map(reading(values), 0).twist
    np.testing.assert_array_equal(with_tool.linear, without.linear)
    np.testing.assert_array_equal(with_tool.angular, without.angular)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.0001, -3.0])
def test_deflections_that_are_none_release_the_dead_man(value):
    values = np.array([0.5, 0.0, value, 0.0, 0.0, 0.0])
    command = TeleopMapping(CONFIG).map(reading(values), 0)
    assert not command.deadman
    assert not command.twist.linear.any()


def test_a_locked_axis_moves_nothing():
    locked = TeleopConfig(axis_scale=(1.0, 1.0, 1.0, 0.0, 0.0, 1.0))
    assert not twist(np.array([0, 0, 0, 1.0, 1.0, 0]), locked).any()
