"""Tests for static_transforms.py: calibrated cameras are frames, if ROS has messages for them."""

import dataclasses
from types import SimpleNamespace

from carp_ros.calibrated.result_file import CameraPose, Provenance
from carp_ros.calibrated.rig_calibration import RigCalibration
from carp_ros.rig import load_rig
from carp_ros.ros.static_transforms import publish_camera_frames
from carp_ros.share import share_folder

WHENCE = Provenance("ur5e_sim", "2026-01-31", "method", "source", 15)
NOMINAL = load_rig(share_folder() / "config" / "ur5e_sim.yaml")


def pose_of(camera, parent):
    turn = (0.0, 0.6, 0.0, 0.8)
    return CameraPose("camera_pose", camera, parent, (0.1, 0.2, 0.3), turn, 0.4, 0.03, WHENCE)


POSES = {
    "wrist_cam": pose_of("wrist_cam", "flange"),
    "third_cam": pose_of("third_cam", "base"),
}
RIG = dataclasses.replace(NOMINAL, calibrated=RigCalibration(poses=POSES))


class FakeNode:
    """Keeps what is published."""

    def __init__(self):
        self.topics, self.messages = [], []

    def create_publisher(self, kind, topic, qos):
        self.topics.append(topic)
        return SimpleNamespace(publish=self.messages.append)

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=1_500_000_000))


def publish(rig, kind):
    node, lines = FakeNode(), []
    publish_camera_frames(node, rig, lines.append, lambda: kind)
    return node, lines


def test_calibrated_cameras_are_frames_of_the_flange_or_the_base():
    node, lines = publish(RIG, SimpleNamespace)
    assert node.topics == ["/tf_static"]
    (message,) = node.messages
    frames = [(t.header.frame_id, t.child_frame_id) for t in message.transforms]
    assert frames == [
        ("tool0", "wrist_cam_optical_frame"),
        ("base_link", "third_cam_optical_frame"),
    ]
    moved = message.transforms[0].transform
    assert (moved.translation.x, moved.translation.y, moved.translation.z) == (0.1, 0.2, 0.3)
    assert (moved.rotation.y, moved.rotation.w) == (0.6, 0.8)
    assert lines == []


def test_a_ros_without_tf2_msgs_is_told_once_and_the_system_goes_on():
    node, lines = publish(RIG, None)
    assert node.messages == []
    (line,) = lines
    assert "no tf2_msgs" in line
    assert "wrist_cam_optical_frame" in line


def test_without_calibrated_cameras_nothing_is_published_nor_said():
    node, lines = publish(NOMINAL, None)
    assert (node.topics, lines) == ([], [])
