"""A guessed map is one: it can be read, and names what the bag has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.recording import messages
from carp_ros.recording.mapped_reader import MappedReader
from carp_ros.recording.messages import IMAGE, JOINTS, JPEG, NUMBER, POSE
from carp_ros.recording.topic_map import GripperJoint, Measured, PoseFromJoints, read_topic_map
from carp_ros.recording.topic_suggestion import suggest_topics
from carp_ros.robots import FR3
from carp_ros.types import Pose

from .foreign_bags import FINGER, as_recorded_elsewhere, write_bag

START_NS = 1_700_000_000_000_000_000


def read(text, folder):
    (folder / "topics.yaml").write_text(text)
    return read_topic_map(folder / "topics.yaml")


def test_what_our_own_kind_of_lab_recorded_is_recognised(make_recording, tmp_path):
    stored = as_recorded_elsewhere(make_recording(seconds=0.5))
    folder = write_bag(tmp_path / "bag", stored, "sqlite3, messages in zstd")
    found = read(suggest_topics(folder), tmp_path)
    assert found.robot.name == "ur5e"
    assert found.cameras == {
        "overview": "/overview/image_raw",
        "wrist": "/wrist/color/image_raw",
    }
    assert found.tool_pose.topic == "/tcp_pose_broadcaster/pose"
    assert found.target_pose.topic == "/lab/target"
    assert (found.joint_states.topic, found.gripper_state.joint) == ("/lab/joint_states", FINGER)
    MappedReader(found, {topic: kind for _, topic, kind, _ in stored})  # has them, of these types


def test_joints_with_a_prefix_tell_the_robot_and_what_is_missing_is_derived(tmp_path):
    names = ("left_finger_joint1", *(f"left_{name}" for name in FR3.joint_names[::-1]))
    joints = messages.encode_joints(names, np.zeros(8), np.zeros(8), START_NS, "")
    image = messages.encode_image(np.zeros((2, 2, 3), np.uint8), START_NS, "")
    stored = [
        (START_NS, "/left/joint_states", JOINTS, joints),
        (START_NS, "/camera/camera/color/image_raw", IMAGE, image),
        (START_NS, "/camera/camera/depth/image_rect_raw", IMAGE, image),
    ]
    text = suggest_topics(write_bag(tmp_path / "bag", stored))
    found = read(text, tmp_path)
    assert found.robot is FR3
    assert found.joint_states.names == tuple(f"left_{name}" for name in FR3.joint_names)
    assert found.cameras == {"camera": "/camera/camera/color/image_raw"}
    assert isinstance(found.tool_pose, PoseFromJoints)
    assert isinstance(found.target_pose, Measured)
    assert isinstance(found.gripper_state, GripperJoint)
    assert "#   /camera/camera/depth/image_rect_raw  sensor_msgs/msg/Image\n" in text


def test_poses_in_a_frame_of_their_own_ask_for_where_it_lies(tmp_path):
    pose = messages.encode_pose(Pose(np.zeros(3), np.eye(4)[3]), START_NS, "base")
    text = suggest_topics(write_bag(tmp_path / "bag", [(START_NS, "/tcp", POSE, pose)]))
    found = read(text, tmp_path)
    assert found.tool_pose.frame == "base"
    assert "base_from_frame: {position_m: [0, 0, 0], quaternion: [0, 0, 0, 1]}  # check" in text


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
topics = st.one_of(
    st.lists(
        st.sampled_from(
            ["camera", "on", "left", "grip", "command", "image_raw", "N1", "compressed"]
        )
    )
    .filter(bool)
    .map(lambda parts: "/" + "/".join(parts)),
    words,
)
contents = {
    IMAGE: messages.encode_image(np.zeros((2, 2, 3), np.uint8), START_NS, ""),
    JPEG: messages.encode_jpeg(np.zeros((8, 8, 3), np.uint8), START_NS, ""),
    NUMBER: messages.encode_number(0.5),
    POSE: messages.encode_pose(Pose(np.zeros(3), np.eye(4)[3]), START_NS, "no"),
    JOINTS: messages.encode_joints(("x: y", "- 1", "null"), np.zeros(3), np.zeros(3), START_NS, ""),
}


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(topics, st.sampled_from(sorted(contents)), max_size=8))
def test_whatever_topics_there_are_a_guess_can_be_read(tmp_path_factory, known):
    folder = tmp_path_factory.mktemp("bag")
    stored = [(START_NS, topic, kind, contents[kind]) for topic, kind in known.items()]
    text = suggest_topics(write_bag(folder / "bag", stored))
    read(text, folder)


def test_a_folder_that_is_no_bag_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"metadata\.yaml"):
        suggest_topics(tmp_path)
