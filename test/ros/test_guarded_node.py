"""Every node's timers are steady, and its parameters are what they may be."""

import time
from collections.abc import Iterator

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.clock_type import ClockType
from rclpy.parameter import Parameter

from carp_ros.nodes.episode_parameters import EpisodeParameters
from carp_ros.rig import load_rig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.parameter_rules import OneOf
from carp_ros.ros.params import fixed_parameter
from carp_ros.share import share_folder
from carp_ros.strict import Between

RIG = share_folder() / "config" / "ur5e_sim.yaml"
anything = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=50),
    st.lists(st.integers(-5, 5), max_size=3),
)


@pytest.fixture
def node() -> Iterator[GuardedNode]:
    rclpy.init()
    node = GuardedNode("guarded")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def started_with(*arguments: str) -> GuardedNode:
    rclpy.init(args=["--ros-args", *arguments])
    try:
        return GuardedNode("guarded")
    finally:
        rclpy.shutdown()


def refusal(node: GuardedNode, **values) -> str:
    """Set parameters as `ros2 param set` does; return why not, if not."""
    parameters = [Parameter(name, value=value) for name, value in values.items()]
    return node.set_parameters_atomically(parameters).reason


def test_a_timer_counts_steady_time(node):
    assert node.create_timer(1.0, print).clock.clock_type == ClockType.STEADY_TIME


def test_a_value_that_a_parameter_may_not_have_is_refused_with_what_it_may(node):
    node.rules.declare("seed", 5, "Of places.", Between(0, 2**53))
    node.rules.declare("level", "normal", "How much is random.", OneOf(("none", "normal")))
    node.rules.declare("period_s", 0.5, "From one to the next.", Between(0.1, 1.0))
    assert "-3" in refusal(node, seed=-3)
    assert refusal(node, level="norial") == "level is 'norial'; expected one of none, normal"
    assert "2.0" in refusal(node, period_s=2.0)
    assert refusal(node, period_s=float("nan"))
    assert "INTEGER" in refusal(node, seed="abc")
    assert [node.get_parameter(name).value for name in ("seed", "level", "period_s")] == [
        5,
        "normal",
        0.5,
    ]
    assert refusal(node, seed=7, level="none") == ""


def test_tools_see_what_a_parameter_may_be(node):
    node.rules.declare("seed", 5, "Of places.", Between(0, 9))
    node.rules.declare("period_s", 0.5, "From one to the next.", Between(0.1, 1.0))
    node.rules.declare("level", "normal", "How much is random.", OneOf(("none", "normal")))
    (whole,) = node.describe_parameter("seed").integer_range
    (real,) = node.describe_parameter("period_s").floating_point_range
    assert (whole.from_value, whole.to_value) == (0, 9)
    assert (real.from_value, real.to_value) == (0.1, 1.0)
    level = node.describe_parameter("level")
    assert (level.description, level.additional_constraints) == (
        "How much is random.",
        "one of none, normal",
    )


def test_what_is_read_once_can_not_be_set_later(node):
    assert fixed_parameter(node, "bundle", "a", "A folder.") == "a"
    assert "read-only" in refusal(node, bundle="b")


def test_the_clock_can_not_be_taken_from_a_topic(node):
    assert refusal(node, use_sim_time=True) == "use_sim_time is True; expected one of False"
    assert abs(node.get_clock().now().nanoseconds - time.time_ns()) < 1_000_000_000


def test_a_node_that_is_told_to_take_its_clock_from_a_topic_does_not_start():
    with pytest.raises(ValueError, match="use_sim_time is True; expected one of False"):
        started_with("-p", "use_sim_time:=true")


@pytest.mark.parametrize(
    ("given", "words"),
    [("seed:=-3", r"seed.*-3"), ("seed:=abc", r"seed.*expected a int"), ("seed:=1.5", "seed")],
)
def test_a_wrong_value_at_start_is_said_in_one_line(given, words):
    rclpy.init(args=["--ros-args", "-p", given])
    node = GuardedNode("guarded")
    try:
        with pytest.raises(ValueError, match=words) as caught:
            node.rules.declare("seed", 5, "Of places.", Between(0, 2**53))
        assert "\n" not in str(caught.value)
    finally:
        node.destroy_node()
        rclpy.shutdown()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["folder", "task", "instruction", "operator", "seed", "images"]),
    value=anything,
)
def test_whatever_is_set_the_recorders_next_episode_is_one(node, name, value):
    if not node.has_parameter("folder"):
        node.episode = EpisodeParameters(node, load_rig(RIG))
    before = node.get_parameter(name).value
    if reason := refusal(node, **{name: value}):
        assert name in reason or "type" in reason
        assert node.get_parameter(name).value == before
    info = node.episode.info(1_700_000_000_000_000_000)
    assert info.seed is None or info.seed >= 0
    assert info.task == node.episode.new_folder(info).name.partition("_2023")[0]
    assert node.episode.images in ("jpeg", "raw")


def test_an_operator_without_a_name_is_a_number(node, monkeypatch):
    def getuser():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", getuser)
    parameters = EpisodeParameters(node, load_rig(RIG))
    assert parameters.info(1).operator.isdecimal()
