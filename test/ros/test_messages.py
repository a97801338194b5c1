"""Tests for ros/messages.py: what is sent arrives unchanged, and what is wrong is refused."""

import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rclpy.serialization import deserialize_message, serialize_message

from carp_ros.errors import ChunkError, MessageError, TwistError
from carp_ros.inference.pixels import rgb_from_msg
from carp_ros.ros.messages import (
    camera_info_to_msg,
    chunk_from_msgs,
    chunk_to_msgs,
    image_to_msg,
    joints_from_msg,
    joints_to_msg,
    pose_from_msg,
    pose_to_msg,
    recent_stamp_ns,
    time_from_msg,
    time_to_msg,
    twist_from_msg,
    twist_to_msg,
    wrench_from_msg,
    wrench_to_msg,
)
from carp_ros.types import Chunk, Intrinsics, Pose, Twist

FRAME = "base_link"
NAMES = ("pan", "lift", "elbow")
fast = settings(max_examples=30, deadline=None)
stamps = st.integers(0, 2**31 * 10**9 - 1)
numbers = st.floats(-1e9, 1e9)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
speeds = st.tuples(*[st.floats(-10.0, 10.0)] * 3).map(np.array)
quaternions = (  # of unit length: one of zeros turns nothing, and is refused
    st.tuples(*[st.floats(-1.0, 1.0)] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)


@st.composite
def chunks(draw):
    count = draw(st.integers(1, 20))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rotations = random.normal(size=(count, 4))
    stamp_ns = draw(st.integers(10**10, 2**30 * 10**9))
    first_ns = stamp_ns + draw(st.integers(-(10**10), 10**10))  # past steps are sent too
    return Chunk(
        stamp_ns=stamp_ns,
        times_ns=first_ns + np.cumsum(random.integers(1, 10**9, count)),
        positions=random.normal(size=(count, 3)),
        quaternions=rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        gripper=random.uniform(size=count),
    )


def over_the_wire(msg):
    return deserialize_message(serialize_message(msg), type(msg))


def a_chunk():
    return Chunk(
        10**9,
        10**9 + np.array([100, 200, 300]) * 1_000_000,
        np.zeros((3, 3)),
        np.tile([0.0, 0.0, 0.0, 1.0], (3, 1)),
        np.zeros(3),
    )


@given(stamps)
def test_times_round_trip(time_ns):
    assert time_from_msg(time_to_msg(time_ns)) == time_ns


@fast
@given(st.builds(Pose, vectors, quaternions), stamps)
def test_poses_round_trip(pose, stamp_ns):
    msg = over_the_wire(pose_to_msg(pose, stamp_ns, FRAME))

    arrived = pose_from_msg(msg, FRAME)
    np.testing.assert_array_equal(arrived.position, pose.position)
    np.testing.assert_array_equal(arrived.quaternion, pose.quaternion)
    assert time_from_msg(msg.header.stamp) == stamp_ns


@fast
@given(st.builds(Twist, speeds, speeds), stamps)
def test_twists_round_trip(twist, stamp_ns):
    msg = over_the_wire(twist_to_msg(twist, stamp_ns, FRAME))

    arrived = twist_from_msg(msg, FRAME)
    np.testing.assert_array_equal(arrived.linear, twist.linear)
    np.testing.assert_array_equal(arrived.angular, twist.angular)
    assert time_from_msg(msg.header.stamp) == stamp_ns


@fast
@given(chunks())
def test_chunks_round_trip_with_every_time(chunk):
    poses, gripper = (over_the_wire(msg) for msg in chunk_to_msgs(chunk, FRAME))

    arrived = chunk_from_msgs(poses, gripper, FRAME)
    assert arrived.stamp_ns == chunk.stamp_ns
    np.testing.assert_array_equal(arrived.times_ns, chunk.times_ns)
    np.testing.assert_array_equal(arrived.positions, chunk.positions)
    np.testing.assert_array_equal(arrived.quaternions, chunk.quaternions)
    np.testing.assert_array_equal(arrived.gripper, chunk.gripper)


@fast
@given(vectors, vectors, stamps, st.permutations(NAMES))
def test_joints_round_trip_in_the_order_that_is_asked_for(joints, velocities, stamp_ns, order):
    msg = over_the_wire(joints_to_msg(NAMES, joints, velocities, stamp_ns, FRAME))

    arrived = joints_from_msg(msg, tuple(order))
    np.testing.assert_array_equal(arrived, [joints[NAMES.index(name)] for name in order])
    np.testing.assert_array_equal(msg.velocity, velocities)
    assert (time_from_msg(msg.header.stamp), msg.header.frame_id) == (stamp_ns, FRAME)


images = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)), fill=st.nothing()
)


@fast
@given(images, stamps)
def test_images_round_trip(image, stamp_ns):
    msg = over_the_wire(image_to_msg(image, stamp_ns, "wrist_cam"))

    np.testing.assert_array_equal(rgb_from_msg(msg), image)
    assert (time_from_msg(msg.header.stamp), msg.header.frame_id) == (stamp_ns, "wrist_cam")
    assert (msg.height, msg.width, msg.encoding) == (*image.shape[:2], "rgb8")


def padded(msg, image, encoding, padding):
    """Return `msg` with another encoding's pixels, each row followed by `padding` bytes."""
    height = image.shape[0]
    rows = image.reshape(height, -1)
    rows = np.concatenate([rows, np.full((height, padding), 99, np.uint8)], axis=1)
    msg.encoding, msg.step = encoding, rows.shape[1]
    msg.data = array.array("B", rows.tobytes())
    return msg


@fast
@given(images, st.integers(0, 9))
def test_images_of_every_encoding_arrive_as_rgb_whatever_pads_their_rows(image, padding):
    msg = image_to_msg(image, 0, "cam")

    rgb = padded(msg, image, "rgb8", padding)
    np.testing.assert_array_equal(rgb_from_msg(rgb), image)
    bgr = padded(msg, image, "bgr8", padding)
    np.testing.assert_array_equal(rgb_from_msg(bgr), image[:, :, ::-1])
    grey = padded(msg, image[:, :, 0], "mono8", padding)
    np.testing.assert_array_equal(rgb_from_msg(grey), image[:, :, [0, 0, 0]])


def test_camera_info_describes_a_pinhole_and_its_distortion():
    matrix = np.array([[300.0, 0.0, 160.5], [0.0, 310.0, 120.5], [0.0, 0.0, 1.0]])

    intrinsics = Intrinsics(320, 240, matrix, "wrist_cam", (0.1, -0.2, 0.001, 0.002, 0.03))
    msg = over_the_wire(camera_info_to_msg(intrinsics, 5))

    assert (msg.width, msg.height, msg.header.frame_id) == (320, 240, "wrist_cam")
    assert time_from_msg(msg.header.stamp) == 5
    np.testing.assert_array_equal(np.reshape(msg.k, (3, 3)), matrix)
    np.testing.assert_array_equal(np.reshape(msg.p, (3, 4)), np.c_[matrix, np.zeros(3)])
    np.testing.assert_array_equal(np.reshape(msg.r, (3, 3)), np.eye(3))
    assert (msg.distortion_model, list(msg.d)) == ("plumb_bob", [0.1, -0.2, 0.001, 0.002, 0.03])


def test_what_is_given_in_another_frame_is_refused():
    poses, gripper = chunk_to_msgs(a_chunk(), "map")
    pose = pose_to_msg(Pose(np.zeros(3), np.ones(4)), 0, "map")
    twist = twist_to_msg(Twist(np.zeros(3), np.zeros(3)), 0, "map")

    for what, convert in (
        ("chunk", lambda: chunk_from_msgs(poses, gripper, FRAME)),
        ("pose", lambda: pose_from_msg(pose, FRAME)),
        ("twist", lambda: twist_from_msg(twist, FRAME)),
    ):
        with pytest.raises(MessageError, match=f"{what} is in frame 'map'; expected 'base_link'"):
            convert()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    pose = pose_to_msg(Pose(np.array([0.0, value, 0.0]), np.ones(4)), 0, FRAME)
    with pytest.raises(MessageError, match=r"pose is .*expected finite"):
        pose_from_msg(pose, FRAME)
    twist = twist_to_msg(Twist(np.zeros(3), np.zeros(3)), 0, FRAME)
    twist.twist.angular.z = value
    with pytest.raises(TwistError):
        twist_from_msg(twist, FRAME)
    joints = joints_to_msg(NAMES, np.array([0.0, value, 0.0]), np.zeros(3), 0, FRAME)
    with pytest.raises(MessageError, match=r"joint state is .*expected finite"):
        joints_from_msg(joints, NAMES)
    poses, gripper = chunk_to_msgs(a_chunk(), FRAME)
    poses.points[1].transforms[0].translation.x = value
    with pytest.raises(ChunkError, match=r"positions\[1\] is not finite"):
        chunk_from_msgs(poses, gripper, FRAME)


def name_another_body(poses, gripper):
    poses.joint_names = ["camera"]


def name_no_gripper(poses, gripper):
    gripper.joint_names = []


def send_the_gripper_of_another_chunk(poses, gripper):
    gripper.header.stamp.nanosec += 1


def lose_a_gripper_step(poses, gripper):
    gripper.points = gripper.points[:-1]


def delay_a_gripper_step(poses, gripper):
    gripper.points[2].time_from_start.nanosec += 1


def lose_a_transform(poses, gripper):
    poses.points[1].transforms = []


def double_a_transform(poses, gripper):
    poses.points[1].transforms = [*poses.points[1].transforms] * 2


def double_a_closure(poses, gripper):
    gripper.points[1].positions = [0.0, 0.0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (name_another_body, r"chunk moves \['camera'\]; expected \['tcp'\]"),
        (name_no_gripper, r"chunk moves \[\]; expected \['gripper'\]"),
        (send_the_gripper_of_another_chunk, "gripper chunk has stamp 1000000001 ns; .* 1000000000"),
        (lose_a_gripper_step, "gripper chunk has 2 steps; the chunk has 3"),
        (delay_a_gripper_step, "due at other times"),
        (lose_a_transform, "lacks a pose or closure or has several"),
        (double_a_transform, "lacks a pose or closure or has several"),
        (double_a_closure, "lacks a pose or closure or has several"),
    ],
)
def test_a_chunk_whose_messages_do_not_fit_is_refused(spoil, words):
    poses, gripper = (over_the_wire(msg) for msg in chunk_to_msgs(a_chunk(), FRAME))
    spoil(poses, gripper)

    with pytest.raises(MessageError, match=words):
        chunk_from_msgs(poses, gripper, FRAME)


def test_a_chunk_without_steps_is_refused():
    poses, gripper = chunk_to_msgs(a_chunk(), FRAME)
    poses.points, gripper.points = [], []

    with pytest.raises(ChunkError, match="at least 1"):
        chunk_from_msgs(poses, gripper, FRAME)


@pytest.mark.parametrize(
    "quaternion", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.1), (np.nan, 0.0, 0.0, 1.0)]
)
def test_a_pose_whose_quaternion_turns_nothing_is_refused(quaternion):
    msg = pose_to_msg(Pose(np.zeros(3), np.array(quaternion)), 0, FRAME)
    with pytest.raises(MessageError, match=r"expected (1 within 0\.001|finite numbers)"):
        pose_from_msg(msg, FRAME)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**61))
def test_a_stamp_is_of_about_now_or_refused(sec, nanosec, now_ns):
    msg = Time(sec=sec, nanosec=nanosec)
    age_ns = now_ns - time_from_msg(msg)
    if nanosec < 1_000_000_000 and -100_000_000 <= age_ns <= 10_000_000_000:
        assert recent_stamp_ns(msg, now_ns) == time_from_msg(msg)
    else:
        with pytest.raises(MessageError, match="synchronise the clocks"):
            recent_stamp_ns(msg, now_ns)


@given(st.integers(-90_000_000, 9_000_000_000))
def test_a_stamp_of_about_now_is_taken(age_ns):
    now_ns = 1_700_000_000_000_000_000
    assert recent_stamp_ns(time_to_msg(now_ns - age_ns), now_ns) == now_ns - age_ns


def test_joints_named_twice_are_refused():
    msg = joints_to_msg(("pan", "pan", "elbow"), np.zeros(3), np.zeros(3), 0, FRAME)
    with pytest.raises(MessageError, match="expected each name once"):
        joints_from_msg(msg, NAMES)


@pytest.mark.parametrize(("height", "width"), [(0, 4), (4, 0), (1_000_000, 1), (1, 1_000_000)])
def test_an_image_of_absurd_size_is_refused(height, width):
    msg = image_to_msg(np.zeros((2, 3, 3), np.uint8), 0, "cam")
    msg.height, msg.width = height, width
    with pytest.raises(MessageError, match=f"{width}x{height} px; expected sides of 1 to 8192 px"):
        rgb_from_msg(msg)


def test_joints_that_are_missing_are_named():
    msg = joints_to_msg(NAMES, np.zeros(3), np.zeros(3), 0, FRAME)

    with pytest.raises(MessageError, match=r"lacks \['wrist'\]; it has \['pan', 'lift', 'elbow'\]"):
        joints_from_msg(msg, ("pan", "wrist"))
    msg.position = [0.0, 0.0]
    with pytest.raises(MessageError, match=r"lacks \['elbow'\]"):
        joints_from_msg(msg, NAMES)


@pytest.mark.parametrize("encoding", ["", "yuv422", "16UC1", "bayer_rggb8"])
def test_an_image_of_an_unknown_encoding_is_refused(encoding):
    msg = image_to_msg(np.zeros((2, 3, 3), np.uint8), 0, "cam")
    msg.encoding = encoding

    with pytest.raises(
        MessageError, match=f"encoded as '{encoding}'; expected rgb8, bgr8, mono8, rgba8, bgra8 or"
    ):
        rgb_from_msg(msg)


def test_an_image_that_is_cut_short_is_refused():
    msg = image_to_msg(np.zeros((2, 3, 3), np.uint8), 0, "cam")
    msg.data = msg.data[:-1]
    with pytest.raises(MessageError, match="3x2 px holds 17 bytes in rows of 9; expected 18"):
        rgb_from_msg(msg)

    msg = image_to_msg(np.zeros((2, 3, 3), np.uint8), 0, "cam")
    msg.step = 8
    with pytest.raises(MessageError, match="in rows of 8"):
        rgb_from_msg(msg)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e9])
@pytest.mark.parametrize("place", range(6))
def test_a_wrench_that_no_arm_withstands_is_refused(number, place):
    wrench = np.zeros(6)
    wrench[place] = number
    with pytest.raises(MessageError, match="expected finite numbers of at most"):
        wrench_from_msg(wrench_to_msg(wrench, 0))


def test_a_wrench_in_another_frame_is_refused():
    msg = wrench_to_msg(np.arange(6.0), 0)
    np.testing.assert_array_equal(wrench_from_msg(msg), np.arange(6.0))
    msg.header.frame_id = "base_link"
    with pytest.raises(MessageError, match="wrench is in frame 'base_link'; expected 'tcp'"):
        wrench_from_msg(msg)
