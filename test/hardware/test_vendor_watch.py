import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import MessageError
from carp_ros.hardware.ros2_control_link import Trouble
from carp_ros.hardware.vendor_watch import VendorWatch, share_of_percent
from carp_ros.rig_devices import Ros2ControlArmConfig

NAMES = ("a", "b", "c")
CONFIG = Ros2ControlArmConfig(program_running_topic="/io/runs")
TRAJECTORY = dataclasses.replace(CONFIG, interface="joint_trajectory", controller="/arm_controller")
SECOND_NS = 1_000_000_000
RIGHT = {"joints": ["a", "b", "c"], "interface_name": "position"}
SMOOTH = {"joints": ["a", "b", "c"], "interpolate_from_desired_state": True}


def healthy(now_ns: int, config: Ros2ControlArmConfig = CONFIG) -> VendorWatch:
    """Return a watch to which everything was told that it waits for."""
    watch = VendorWatch(config, NAMES, now_ns - SECOND_NS)
    watch.take_state(now_ns)
    watch.rate_hz, watch.listeners, watch.runs_program = 500.0, 1, True
    watch.take_parameters(RIGHT if config is CONFIG else SMOOTH, now_ns)
    return watch


@pytest.mark.parametrize("config", [CONFIG, TRAJECTORY])
def test_a_driver_that_tells_all_that_is_asked_is_fine(config):
    assert healthy(0, config).finding(0) == (Trouble.NONE, "")


def test_a_controller_whose_state_nobody_tells_is_left_to_the_watch_on_the_motion():
    watch = healthy(0)
    assert watch.activity == ""
    assert watch.finding(0)[0] is Trouble.NONE
    watch.activity = "active"
    assert watch.finding(0)[0] is Trouble.NONE


def test_a_driver_gets_three_seconds_to_be_found():
    watch = VendorWatch(CONFIG, NAMES, 0)
    assert watch.finding(2 * SECOND_NS)[0] is Trouble.STARTING
    trouble, text = watch.finding(4 * SECOND_NS)
    assert trouble is Trouble.NO_STATES
    assert "/joint_states" in text
    assert "ROS_DOMAIN_ID" in text


def test_states_that_were_refused_from_the_beginning_are_told_with_the_reason():
    watch = VendorWatch(CONFIG, NAMES, 0)
    watch.refusal = "joint state lacks c"
    trouble, text = watch.finding(0)
    assert trouble is Trouble.NO_STATES
    assert "joint state lacks c" in text


def test_joint_states_of_other_devices_alone_are_no_trouble_but_told_where_the_arm_s_are_missing():
    watch = healthy(0)
    watch.others = ["finger"]
    assert watch.finding(0)[0] is Trouble.NONE
    watch = VendorWatch(CONFIG, NAMES, 0)
    watch.others = ["left_a", "left_b"]
    assert watch.finding(0)[0] is Trouble.STARTING
    trouble, text = watch.finding(4 * SECOND_NS)
    assert trouble is Trouble.NO_STATES
    assert "others come, of left_a, left_b: if they are the arm's, set arm.joint_prefix" in text
    watch.refusal = "joint state lacks c"
    assert "joint state lacks c" in watch.finding(4 * SECOND_NS)[1]


def test_states_that_stop_are_trouble_after_the_servo_has_noticed_and_are_measured_anew():
    watch = healthy(0)
    timeout_ns = round(CONFIG.state_timeout_s * 1e9)
    assert watch.finding(2 * timeout_ns)[0] is Trouble.NONE
    watch.refusal = "joint state is nan"
    trouble, text = watch.finding(2 * timeout_ns + 1)
    assert trouble is Trouble.NO_STATES
    assert "stopped (joint state is nan)" in text
    watch.take_state(SECOND_NS)
    assert watch.finding(SECOND_NS)[0] is Trouble.STARTING  # until their rate is known
    watch.rate_hz = 500.0
    assert watch.finding(SECOND_NS)[0] is Trouble.NONE


def test_a_driver_that_stops_is_silent_and_not_slow():
    watch = healthy(0)
    for cycle in range(1, 20):
        watch.take_state(cycle * 2_000_000)
    watch.measure_rate()  # much later
    assert watch.rate_hz == pytest.approx(500.0)
    watch.measure_rate()
    assert watch.finding(SECOND_NS)[0] is Trouble.NO_STATES


def test_a_merged_topic_is_too_slow():
    watch = healthy(0)
    for cycle in range(1, 15):
        watch.take_state(cycle * SECOND_NS // 30)
    watch.measure_rate()
    assert watch.rate_hz == pytest.approx(30.0, rel=1e-3)
    trouble, text = watch.finding(SECOND_NS // 2)
    assert trouble is Trouble.SLOW_STATES
    assert "30 Hz" in text
    assert "arm.joint_states_topic" in text


@pytest.mark.parametrize(
    ("values", "order"),
    [(RIGHT, [0, 1, 2]), ({"joints": ["c", "a", "b"]}, [2, 0, 1])],
)
def test_a_controller_names_the_order_of_its_joints(values, order):
    watch = healthy(0)
    watch.take_parameters(values, 0)
    assert watch.finding(0)[0] is Trouble.NONE
    assert watch.order == order


@pytest.mark.parametrize(
    ("config", "values", "said"),
    [
        (CONFIG, {}, "moves the joints None"),
        (CONFIG, {"joints": ["a", "b"]}, "moves the joints"),
        (CONFIG, {"joints": ["a", "b", "c", "rail"]}, "moves the joints"),
        (CONFIG, {"joints": ["left_a", "left_b", "left_c"]}, "arm.joint_prefix"),
        (CONFIG, {"joints": ["a", "b", "b"]}, "moves the joints"),
        (CONFIG, RIGHT | {"interface_name": "velocity"}, "takes velocity; expected position"),
        (TRAJECTORY, {"joints": ["a", "b", "c"]}, "interpolate_from_desired_state"),
        (TRAJECTORY, SMOOTH | {"interpolate_from_desired_state": False}, "open_loop_control"),
    ],
)
def test_a_controller_that_would_move_otherwise_is_refused(config, values, said):
    watch = healthy(0, config)
    watch.take_parameters(values, 0)
    trouble, text = watch.finding(0)
    assert trouble is Trouble.WRONG_CONTROLLER
    assert said in text
    assert watch.order is None


def test_open_loop_control_is_what_older_controllers_call_it():
    watch = healthy(0, TRAJECTORY)
    watch.take_parameters({"joints": ["b", "a", "c"], "open_loop_control": True}, 0)
    assert watch.finding(0)[0] is Trouble.NONE


def test_a_controller_that_nobody_runs_any_more_is_missed():
    watch = healthy(0)
    watch.listeners = 0
    assert watch.finding(0)[0] is Trouble.NO_CONTROLLER
    watch = healthy(0)
    watch.take_state(6 * SECOND_NS)  # its driver goes on
    assert watch.finding(6 * SECOND_NS)[0] is Trouble.NO_CONTROLLER


@pytest.mark.parametrize(
    ("name", "value", "trouble", "said"),
    [
        ("activity", "inactive", Trouble.INACTIVE, "switch_controllers --activate forward_"),
        ("activity", "unconfigured", Trouble.INACTIVE, "is unconfigured"),
        ("publishers", 2, Trouble.RIVAL, "another program publishes"),
        ("runs_program", False, Trouble.PROGRAM_STOPPED, "says that it does not"),
    ],
)
def test_what_keeps_the_arm_from_following_is_a_code_and_a_text(name, value, trouble, said):
    watch = healthy(0)
    setattr(watch, name, value)
    found, text = watch.finding(0)
    assert found is trouble
    assert said in text


def test_a_program_of_which_nothing_is_told_counts_as_stopped():
    watch = healthy(10 * SECOND_NS)
    watch.runs_program = None
    assert watch.finding(10 * SECOND_NS)[0] is Trouble.STARTING
    watch = VendorWatch(CONFIG, NAMES, 0)
    watch.take_state(10 * SECOND_NS)
    watch.rate_hz, watch.listeners = 500.0, 1
    watch.take_parameters(RIGHT, 10 * SECOND_NS)
    trouble, text = watch.finding(10 * SECOND_NS)
    assert trouble is Trouble.PROGRAM_STOPPED
    assert "/io/runs says nothing" in text


def test_an_arm_without_such_a_topic_is_not_asked_for_a_program():
    watch = VendorWatch(dataclasses.replace(CONFIG, program_running_topic=None), NAMES, 0)
    watch.take_state(0)
    watch.rate_hz, watch.listeners = 500.0, 1
    watch.take_parameters(RIGHT, 0)
    assert watch.finding(0)[0] is Trouble.NONE


@given(st.floats())
def test_a_speed_scaling_is_a_share_or_refused(percent):
    if 0.0 <= percent <= 100.0:
        assert share_of_percent(percent) == percent / 100.0
    elif not 100.0 < percent <= 100.5:
        with pytest.raises(MessageError, match="expected 0 to 100"):
            share_of_percent(percent)
    assert share_of_percent(100.4) == 1.0
