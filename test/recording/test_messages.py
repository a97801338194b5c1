"""Our bytes against the messages of `ros/messages.py`, as ROS's own serializer knows them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rosbags.typesys import Stores, get_typestore

from carp_ros.errors import MessageError
from carp_ros.recording import messages
from carp_ros.types import Chunk, Intrinsics, Pose, Twist

STAMP_NS = 1_700_000_000_123_456_789
NUMBERS = st.floats(-1e6, 1e6)
SPEEDS = st.tuples(*[st.floats(-10.0, 10.0)] * 3).map(np.array)
VECTORS = arrays(np.float64, 3, elements=NUMBERS)
QUATERNIONS = arrays(np.float64, 4, elements=NUMBERS)
IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def same_in_ros(ours, msg):
    """Whether ROS reads our bytes as `msg`.

    Its own have chance bytes where fields are aligned, and more of them at the end.
    """
    from rclpy.serialization import deserialize_message, serialize_message

    theirs = serialize_message(msg)
    return len(ours) <= len(theirs) and deserialize_message(ours, type(msg)) == msg


def chunk():
    rng = np.random.default_rng(0)
    quaternions = rng.normal(size=(3, 4))
    return Chunk(
        stamp_ns=STAMP_NS,
        times_ns=STAMP_NS + np.array([0, 100_000_000, 2_000_000_001]),
        positions=rng.normal(size=(3, 3)),
        quaternions=quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True),
        gripper=np.array([0.0, 0.5, 1.0]),
    )


@given(VECTORS, QUATERNIONS)
def test_poses_are_what_ros_reads_and_come_back(position, quaternion):
    from carp_ros.ros import messages as ros_messages

    pose = Pose(position, quaternion)
    ours = messages.encode_pose(pose, STAMP_NS, "base")
    assert same_in_ros(ours, ros_messages.pose_to_msg(pose, STAMP_NS, "base"))
    back = messages.decode_pose(ours, "base")
    assert (back.position == position).all()
    assert (back.quaternion == quaternion).all()


@given(VECTORS, VECTORS)
def test_wrenches_are_what_ros_reads_and_come_back(force, torque):
    from carp_ros.ros import messages as ros_messages

    wrench = np.concatenate([force, torque])
    ours = messages.encode_wrench(wrench, STAMP_NS)
    assert same_in_ros(ours, ros_messages.wrench_to_msg(wrench, STAMP_NS))
    assert (messages.decode_wrench(ours) == wrench).all()


@given(SPEEDS, SPEEDS)
def test_twists_are_what_ros_reads_and_come_back(linear, angular):
    from carp_ros.ros import messages as ros_messages

    twist = Twist(linear, angular)
    ours = messages.encode_twist(twist, STAMP_NS, "base_link")
    assert same_in_ros(ours, ros_messages.twist_to_msg(twist, STAMP_NS, "base_link"))
    back = messages.decode_twist(ours, "base_link")
    assert (back.linear == linear).all()
    assert (back.angular == angular).all()


@given(IMAGES)
def test_images_are_what_ros_reads_and_come_back(image):
    from carp_ros.ros import messages as ros_messages

    ours = messages.encode_image(image, STAMP_NS, "wrist_cam_optical_frame")
    assert same_in_ros(ours, ros_messages.image_to_msg(image, STAMP_NS, "wrist_cam_optical_frame"))
    assert (messages.decode_image(messages.IMAGE, ours) == image).all()


def test_camera_joints_and_plain_values_are_what_ros_reads():
    from std_msgs.msg import Bool, Float64, String

    from carp_ros.ros import messages as ros_messages

    intrinsics = np.array([[300.0, 0.0, 159.5], [0.0, 301.0, 119.5], [0.0, 0.0, 1.0]])
    distortion = (0.1, -0.2, 0.001, 0.002, 0.03)
    camera = (Intrinsics(320, 240, intrinsics, "third_cam_optical_frame", distortion), STAMP_NS)
    assert same_in_ros(
        messages.encode_camera_info(*camera), ros_messages.camera_info_to_msg(*camera)
    )
    names = ("shoulder", "elbow", "wrist_1")
    joints = (names, np.array([0.1, -2.0, 3.0]), np.array([0.0, 1.0, -1.0]), STAMP_NS, "base")
    ours = messages.encode_joints(*joints)
    assert same_in_ros(ours, ros_messages.joints_to_msg(*joints))
    assert messages.decode_joints(ours, names[::-1]).tolist() == [3.0, -2.0, 0.1]
    assert same_in_ros(messages.encode_number(0.25), Float64(data=0.25))
    assert same_in_ros(messages.encode_flag(True), Bool(data=True))
    assert same_in_ros(messages.encode_text("grün"), String(data="grün"))


def test_a_chunk_is_what_ros_reads():
    from carp_ros.ros import messages as ros_messages

    poses, gripper = ros_messages.chunk_to_msgs(chunk(), "base")
    our_poses, our_gripper = messages.encode_chunk(chunk(), "base")
    assert same_in_ros(our_poses, poses)
    assert same_in_ros(our_gripper, gripper)


def test_a_jpeg_is_the_image_but_for_little():
    across = np.linspace(0, 255, 64).astype(np.uint8)
    image = np.stack([np.tile(across, (48, 1))] * 3, axis=2)
    image[:, :, 2] = 40
    ours = messages.encode_jpeg(image, STAMP_NS, "wrist_cam_optical_frame")
    back = messages.decode_image(messages.JPEG, ours).astype(int)
    assert np.abs(back - image).mean() < 2.0
    assert messages.decode(messages.JPEG, ours).format == "rgb8; jpeg compressed bgr8"


@given(IMAGES, st.sampled_from(["colour", "alpha", "grey"]))
def test_a_png_comes_back_as_it_was(image, form):
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    pixels = {
        "colour": bgr,
        "alpha": np.dstack([bgr, image[:, :, :1]]),
        "grey": np.ascontiguousarray(image[:, :, 0]),
    }[form]
    _, png = cv2.imencode(".png", pixels)
    cdr = messages.encode(
        messages.JPEG, header=messages._header(STAMP_NS, "cam"), format="png", data=png.reshape(-1)
    )
    expected = image[:, :, [0, 0, 0]] if form == "grey" else image
    assert (messages.decode_image(messages.JPEG, cdr) == expected).all()


@given(IMAGES, st.sampled_from([0, 1]))
def test_the_byte_order_of_an_image_of_bytes_changes_nothing(image, big):
    """Neither the message's flag nor that of its serialization."""
    cdr = messages.encode_image(image, STAMP_NS, "cam")
    msg = messages.decode(messages.IMAGE, cdr)
    msg.is_bigendian = big
    store = get_typestore(Stores.ROS2_JAZZY)
    other = bytes(store.serialize_cdr(msg, messages.IMAGE, little_endian=False))
    assert other[1] == 0
    assert (messages.decode_image(messages.IMAGE, other) == image).all()
    assert messages.stamp_ns(messages.IMAGE, other) == STAMP_NS


def test_the_stamp_is_the_headers_where_there_is_one():
    number = messages.encode_number(1.0)
    pose = messages.encode_pose(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), STAMP_NS, "b")
    assert messages.stamp_ns(messages.NUMBER, number) is None
    assert messages.stamp_ns(messages.POSE, pose) == STAMP_NS


@pytest.mark.parametrize("cut", [0, 3, 11, 30, 60])
def test_a_cut_message_is_refused_with_its_length(cut):
    whole = messages.encode_pose(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 1, "base")
    with pytest.raises(MessageError, match=f"^{cut} bytes are no geometry_msgs"):
        messages.decode(messages.POSE, whole[:cut])


def test_a_pose_in_another_frame_is_refused():
    cdr = messages.encode_pose(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 1, "world")
    with pytest.raises(MessageError, match="'world'; expected 'base'"):
        messages.decode_pose(cdr, "base")
