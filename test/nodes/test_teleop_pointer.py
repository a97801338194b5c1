"""What teleop_node makes of its pointer."""

import dataclasses
import json
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

import yaml  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402

from carp_ros.nodes.teleop_node import TeleopNode  # noqa: E402
from carp_ros.ros.messages import pose_to_msg  # noqa: E402
from carp_ros.types import PointerFault, PointerRefusal, PointerState, Pose  # noqa: E402

from ..conftest import RIG  # noqa: E402

STILL = PointerState(np.zeros(6), (False, False), connected=True)


class Mouse:
    """A pointer that reads as it is told."""

    def __init__(self) -> None:
        self.state = dataclasses.replace(STILL, heard=False)

    def open(self):
        pass

    def describe(self):
        return "a mouse"

    def read(self, now_ns):
        return self.state

    def close(self):
        pass


@pytest.fixture
def make_node():
    nodes = []

    def make(rig=RIG):
        rclpy.init(args=["--ros-args", "-p", f"rig:={rig}"])
        node = TeleopNode(Mouse())
        nodes.append(node)
        node.published = []
        for name in ("_twists", "_deadmen", "_grippers", "_events"):
            getattr(node, name).publish = lambda msg, name=name: node.published.append((name, msg))
        node.statuses = []
        node._diagnostics.publish = node.statuses.extend
        return node

    yield make
    for node in nodes:
        node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def node(make_node):
    return make_node()


def newest(node, name):
    return [msg for kind, msg in node.published if kind == name][-1]


def finding(node):
    node._on_tick()
    node._on_second()
    return node.statuses[-1]


def test_a_pointer_that_never_spoke_is_not_called_connected_only(node):
    assert finding(node).level == DiagnosticStatus.WARN
    assert "it has never reported anything: move it" in node.statuses[-1].message

    node._pointer.state = STILL
    assert finding(node).level == DiagnosticStatus.OK
    assert node.statuses[-1].message == "connected"


def test_a_refusal_is_told_with_its_code_and_releases_the_dead_man(node):
    refusal = PointerRefusal(PointerFault.OFF_CENTRE, "x hangs: let go of it")
    node._pointer.state = dataclasses.replace(STILL, refusal=refusal)
    status = finding(node)
    assert status.level == DiagnosticStatus.WARN
    assert status.message == "x hangs: let go of it"
    assert {v.key: v.value for v in status.values}["refusal"] == "off_centre"
    assert not newest(node, "_deadmen").data
    node._pointer.state = STILL
    assert {v.key: v.value for v in finding(node).values}["refusal"] == ""


def test_a_button_of_the_episode_makes_an_event_that_names_the_pointer(node):
    node._on_tick()
    node._pointer.state = dataclasses.replace(STILL, wishes=frozenset({"success"}))
    node._on_tick()
    node._on_tick()
    events = [json.loads(msg.data) for kind, msg in node.published if kind == "_events"]
    assert events == [{"schema": 1, "event": "success", "by": "spacemouse"}]


@pytest.fixture
def in_tool_frame(make_node, tmp_path):
    content = yaml.safe_load(RIG.read_text())
    content["teleop"]["frame"] = "tool"
    path = tmp_path / "in_tool.yaml"
    path.write_text(yaml.safe_dump(content))
    node = make_node(path)
    node._pointer.state = PointerState(np.eye(6)[2], (True, False), connected=True)
    return node


def take_tool(node, frame="base_link"):
    down = Pose(np.array([0.4, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
    node._on_tool_pose(pose_to_msg(down, 0, frame))


def test_in_the_tool_frame_the_twist_follows_the_measured_tool(in_tool_frame):
    take_tool(in_tool_frame)
    in_tool_frame._on_tick()
    twist = newest(in_tool_frame, "_twists")
    assert twist.header.frame_id == "base_link"
    assert twist.twist.linear.z == pytest.approx(-0.25)


def test_without_a_tool_pose_of_now_nothing_moves_and_it_is_said(in_tool_frame):
    in_tool_frame._on_tick()
    assert newest(in_tool_frame, "_twists").twist.linear.z == 0.0
    assert "no tool_pose arrives" in finding(in_tool_frame).message
    take_tool(in_tool_frame)
    assert finding(in_tool_frame).message == "connected"
    time.sleep(0.25)
    in_tool_frame._on_tick()
    assert newest(in_tool_frame, "_twists").twist.linear.z == 0.0
