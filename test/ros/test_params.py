"""Tests for ros/params.py: the rig that a node is told to run on, the limits it shows."""

from collections.abc import Iterator
from dataclasses import fields

import pytest
import rclpy
from rclpy.parameter import Parameter

from carp_ros.rig import load_rig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.params import cameras_parameter, rig_parameter, show_limits
from carp_ros.share import share_folder

RIG = share_folder() / "config" / "ur5e_sim.yaml"
SHA256 = load_rig(RIG).file.sha256


@pytest.fixture(autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


def node_with(**parameters: object) -> GuardedNode:
    overrides = [Parameter(name.replace("__", "."), value=v) for name, v in parameters.items()]
    return GuardedNode("shown", parameter_overrides=overrides)


def test_a_node_runs_on_the_rig_that_it_is_given():
    assert rig_parameter(node_with(rig=str(RIG), rig_sha256=SHA256)) == load_rig(RIG)


def test_a_node_refuses_a_rig_that_the_system_was_not_started_with():
    with pytest.raises(
        ValueError, match=r"the content of .*ur5e_sim\.yaml has SHA-256 .*; the system was started"
    ):
        rig_parameter(node_with(rig=str(RIG), rig_sha256="0" * 64))


def test_limits_are_shown_as_the_file_has_them_and_nobody_sets_them():
    node, rig = node_with(limits__max_linear_speed_m_s=5.0), load_rig(RIG)
    show_limits(node, rig)

    assert node.get_parameter("limits.max_linear_speed_m_s").value == 0.25
    assert list(node.get_parameter("limits.workspace_max_m").value) == [0.75, 0.45, 0.55]
    assert len(node.get_parameters_by_prefix("limits")) == len(fields(rig.limits))
    (result,) = node.set_parameters([Parameter("limits.max_linear_speed_m_s", value=0.1)])
    assert not result.successful
    assert node.get_parameter("limits.max_linear_speed_m_s").value == 0.25


def test_cameras_are_named_or_all_of_the_known_or_none():
    known = ("left", "right")
    for given, names in (("all", known), ("none", ()), ("right", ("right",)), ("", ())):
        node = node_with(cameras=given)
        assert cameras_parameter(node, known, "To be read.") == names


def test_a_camera_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="names belly; expected some of left, right"):
        cameras_parameter(node_with(cameras="left belly"), ("left", "right"), "To be read.")
