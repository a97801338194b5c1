"""What stands for a target while a person guides the arm, with its stamps."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, WrenchStamped

from carp_ros.control.command import ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.nodes.control_publishers import HAND_LEAD_NS, ControlPublishers
from carp_ros.reports.control import Fault
from carp_ros.rig import load_rig
from carp_ros.ros.messages import time_from_msg
from carp_ros.types import Pose, SafetyState

RIG = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
HERE = Pose(np.array([0.4, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
MS = 1_000_000
NOW_NS = 1_700_000_000_000_000_000


class Node:
    """Keeps what is published, by topic."""

    def __init__(self):
        self.sent = {}

    def create_publisher(self, kind, topic, qos):
        self.sent[topic] = []
        return SimpleNamespace(publish=self.sent[topic].append)

    def get_logger(self):
        return SimpleNamespace(warning=lambda text: None)

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=NOW_NS))


def state(mode, x_m=0.4, wrench=None):
    pose = dataclasses.replace(HERE, position=np.array([x_m, 0.0, 0.3]))
    still = np.zeros(6)
    return ServoState(
        *(0, 1, 0.0, still, still, still, pose, pose, 0.0, mode, False, True, False),
        *(SafetyState.NORMAL, Fault.NONE, "", 0, 0, 0, 0, 0, 0, "", 0),
        wrench=wrench,
    )


@pytest.fixture
def node():
    return Node()


def test_a_guided_arm_s_target_is_the_pose_measured_a_tenth_of_a_second_later(node):
    outputs = ControlPublishers(node, RIG)
    modes = [ServoMode.HOLD] * 20 + [ServoMode.GUIDE] * 50 + [ServoMode.HOLD] * 20
    for tick, mode in enumerate(modes):
        outputs.publish(state(mode, x_m=0.4 + 1e-3 * tick), None, NOW_NS + tick * 10 * MS)
    targets: list[PoseStamped] = node.sent["target_pose"]
    stamps_ns = [time_from_msg(target.header.stamp) for target in targets]
    assert (np.diff(stamps_ns) > 0).all()  # the clock never runs back
    assert np.diff(stamps_ns).max() <= HAND_LEAD_NS + 10 * MS
    for target, stamp_ns in zip(targets, stamps_ns):
        tick = (stamp_ns - NOW_NS) // (10 * MS)
        later = 10 if 20 <= tick < 60 else 0
        if 20 <= tick + later < 70:
            assert target.pose.position.x == pytest.approx(0.4 + 1e-3 * (tick + later))


def test_a_clock_that_is_set_back_does_not_stall_the_targets(node):
    outputs = ControlPublishers(node, RIG)
    outputs.publish(state(ServoMode.HOLD), None, NOW_NS)
    for tick in range(5):
        outputs.publish(state(ServoMode.HOLD), None, NOW_NS - 3_000 * MS + tick * 10 * MS)
    assert len(node.sent["target_pose"]) == 6


def test_the_wrench_is_published_about_the_tcp_in_its_axes_if_it_is_measured(node):
    outputs = ControlPublishers(node, RIG)
    outputs.publish(state(ServoMode.HOLD), None, NOW_NS)
    assert node.sent["wrench"] == []
    up = np.array([0.0, 0.0, 7.0, 0.0, 0.0, 0.0])
    outputs.publish(state(ServoMode.HOLD, wrench=up), None, NOW_NS)
    msg: WrenchStamped = node.sent["wrench"][0]
    assert msg.header.frame_id == "tcp"
    assert msg.wrench.force.z == pytest.approx(-7.0)  # the tool points down
