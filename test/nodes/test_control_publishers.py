"""What viewers get from the control node: joints that match the URDF, workspace and chunk."""

import math
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

from visualization_msgs.msg import Marker  # noqa: E402

from carp_ros.control.command import ServoState  # noqa: E402
from carp_ros.description.urdf import robot_description  # noqa: E402
from carp_ros.nodes.control_publishers import ControlPublishers  # noqa: E402
from carp_ros.rig import load_rig  # noqa: E402
from carp_ros.ros.messages import joints_from_msg  # noqa: E402
from carp_ros.types import Chunk, GripperState, Pose  # noqa: E402

from ..conftest import FR3_RIG, RIG  # noqa: E402

POSE = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))


class Publisher:
    """Keeps what is published; `looking` viewers have subscribed."""

    looking = 0

    def __init__(self):
        self.sent = []

    def publish(self, msg):
        self.sent.append(msg)

    def get_subscription_count(self):
        return self.looking


class Node:
    """A node whose publishers can be looked into."""

    def __init__(self):
        self.topics = {}

    def create_publisher(self, kind, topic, qos):
        return self.topics.setdefault(topic, Publisher())

    def get_logger(self):
        return SimpleNamespace(warning=lambda text: None)

    def get_clock(self):
        return self

    def now(self):
        return self

    nanoseconds = 5_000_000_000


def state_of(rig):
    home = np.array(rig.home_joints_rad)
    values = dict.fromkeys(ServoState.__dataclass_fields__, 0)
    values |= {
        "joints": home,
        "velocities": 0 * home,
        "tcp_pose": POSE,
        "target_pose": POSE,
        "wrench": None,
    }
    return ServoState(**values)


@pytest.mark.parametrize("path", [RIG, FR3_RIG])
def test_joint_states_name_the_movable_joints_of_the_description(path):
    rig, node = load_rig(path), Node()
    outputs = ControlPublishers(node, rig)
    outputs.publish(state_of(rig), GripperState(0.25, False), 1)
    (msg,) = node.topics["joint_states"].sent
    root = ElementTree.fromstring(robot_description(rig))
    movable = [
        joint.attrib["name"]
        for joint in root.findall("joint")
        if joint.attrib["type"] != "fixed" and joint.find("mimic") is None
    ]
    assert sorted(msg.name) == sorted(movable)
    assert len(msg.name) == len(msg.position) == len(msg.velocity)
    assert msg.position[-1] == pytest.approx(0.75 * rig.gripper.finger_travel_m)
    np.testing.assert_array_equal(joints_from_msg(msg, rig.robot.joint_names), rig.home_joints_rad)


def test_a_gripper_that_was_never_read_is_not_in_the_joint_states():
    rig, node = load_rig(RIG), Node()
    ControlPublishers(node, rig).publish(state_of(rig), None, 1)
    (msg,) = node.topics["joint_states"].sent
    assert tuple(msg.name) == rig.robot.joint_names


def chunk():
    steps = 16
    positions = np.linspace([0.4, 0.0, 0.3], [0.5, 0.1, 0.2], steps)
    times = np.arange(steps, dtype=np.int64) * 100_000_000
    quaternions = np.tile([1.0, 0.0, 0.0, 0.0], (steps, 1))
    return Chunk(0, times, positions, quaternions, np.zeros(steps))


def test_the_workspace_is_there_from_the_start():
    rig, node = load_rig(RIG), Node()
    ControlPublishers(node, rig)
    (array,) = node.topics["markers"].sent
    (box,) = array.markers
    assert box.header.frame_id == rig.robot.base_frame
    size = np.subtract(rig.limits.workspace_max_m, rig.limits.workspace_min_m)
    np.testing.assert_allclose([box.scale.x, box.scale.y, box.scale.z], size)


def test_a_chunk_is_drawn_with_the_workspace_and_only_while_somebody_looks():
    rig, node = load_rig(RIG), Node()
    outputs = ControlPublishers(node, rig)
    outputs.show(chunk())
    assert len(node.topics["markers"].sent) == 1
    node.topics["markers"].looking = 1
    outputs.show(chunk())
    box, line = node.topics["markers"].sent[-1].markers
    assert {box.ns, line.ns} == {"workspace", "chunk"}
    assert line.type == Marker.LINE_STRIP
    assert line.header.frame_id == rig.robot.base_frame
    drawn = np.array([[p.x, p.y, p.z] for p in line.points])
    np.testing.assert_array_equal(drawn, chunk().positions)
    assert math.isclose(line.lifetime.sec, 2)
