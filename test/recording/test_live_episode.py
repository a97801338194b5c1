"""Tests for recording/live_episode.py: what arrives is what is written, and is judged."""

import dataclasses
import re
import struct

import numpy as np
import pytest

from carp_ros.recording import messages
from carp_ros.recording.bag import read_info, read_messages
from carp_ros.recording.depth_messages import decode_depth
from carp_ros.recording.live_episode import LiveEpisode, sources
from carp_ros.rig import load_rig
from carp_ros.rig_cameras import RealSenseCameraConfig
from carp_ros.share import share_folder
from carp_ros.types import Pose, Twist

RIG = load_rig(share_folder() / "config" / "ur5e_sim.yaml")
BASE = RIG.robot.base_frame
TRANSPORT_NS = 20_000_000


@pytest.fixture(scope="module")
def arrivals(info):
    """Two seconds of a healthy rig: topic, when received, bytes."""
    rng = np.random.default_rng(0)
    start_ns = info.started_ns
    found = []
    for tick in range(60):
        at_ns = start_ns + round(tick * 1e9 / 30)
        for camera in RIG.cameras:
            image = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cdr = messages.encode_image(image, at_ns, f"{camera}_optical_frame")
            found.append((f"/{camera}/image_raw", at_ns + TRANSPORT_NS, cdr))
    for tick in range(200):
        at_ns = start_ns + round(tick * 1e9 / 100)
        pose = Pose(np.array([0.5, 1e-3 * tick, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
        joints = np.array(RIG.home_joints_rad)
        twist = Twist(np.array([0.1, 0, 0]), np.zeros(3))
        for topic, cdr in (
            ("/tool_pose", messages.encode_pose(pose, at_ns, BASE)),
            ("/target_pose", messages.encode_pose(pose, at_ns, BASE)),
            (
                "/joint_states",
                messages.encode_joints(RIG.robot.joint_names, joints, 0 * joints, at_ns, BASE),
            ),
            ("/teleop/twist", messages.encode_twist(twist, at_ns, BASE)),
            ("/wrench", messages.encode_wrench(np.arange(6.0), at_ns)),
            ("/gripper_state", messages.encode_number(0.0)),
            ("/gripper_command", messages.encode_number(0.0)),
        ):
            found.append((topic, at_ns + 1_000_000, cdr))
    return sorted(found, key=lambda arrival: arrival[1])


def record(folder, info, arrivals, images):
    episode = LiveEpisode(folder, RIG, info, images)
    for arrival in arrivals:
        episode.write(*arrival)
    return episode, info.started_ns + 2_000_000_000


def test_raw_images_are_written_bit_for_bit_at_the_time_of_their_capture(tmp_path, info, arrivals):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "raw")
    quality = episode.finish(end_ns)
    assert (quality.verdict, quality.reasons) == ("green", ())
    images = [each for each in read_messages(tmp_path / "a") if each[0].endswith("image_raw")]
    sent = [
        (topic, received_ns - TRANSPORT_NS, cdr)
        for topic, received_ns, cdr in arrivals
        if topic.endswith("image_raw")
    ]
    assert sorted(images) == sorted(sent)


def test_jpeg_is_what_the_encoder_makes_of_the_raw_image(tmp_path, info, arrivals):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "jpeg")
    assert episode.finish(end_ns).verdict == "green"
    written = {
        (topic.removesuffix("/compressed"), stamp_ns): cdr
        for topic, stamp_ns, cdr in read_messages(tmp_path / "a")
        if topic.endswith("compressed")
    }
    for topic, received_ns, cdr in arrivals:
        if topic.endswith("image_raw"):
            stamp_ns = received_ns - TRANSPORT_NS
            frame = f"{topic.split('/')[1]}_optical_frame"
            image = messages.decode_image(messages.IMAGE, cdr)
            assert written.pop((topic, stamp_ns)) == messages.encode_jpeg(image, stamp_ns, frame)
    assert not written


def with_depth(rig):
    cameras = {**rig.cameras, "third_cam": RealSenseCameraConfig(depth=True)}
    return dataclasses.replace(rig, cameras=cameras)


@pytest.mark.parametrize(("images", "name"), [("raw", ""), ("jpeg", "/compressedDepth")])
def test_depth_is_recorded_without_loss_beside_every_colour_image(
    tmp_path, info, arrivals, images, name
):
    rig = with_depth(RIG)
    depths = {}
    episode = LiveEpisode(tmp_path / "a", rig, info, images)
    for topic, received_ns, cdr in arrivals:
        episode.write(topic, received_ns, cdr)
        if topic == "/third_cam/image_raw":
            at_ns = received_ns - TRANSPORT_NS
            depths[at_ns] = np.random.default_rng(at_ns).integers(0, 2**16, (12, 16), np.uint16)
            episode.write(
                "/third_cam/depth/image_raw", received_ns, depth_cdr(depths[at_ns], at_ns)
            )
    quality = episode.finish(info.started_ns + 2_000_000_000)

    assert (quality.verdict, quality.reasons) == ("green", ())
    written = [each for each in read_messages(tmp_path / "a") if "depth" in each[0]]
    assert {topic for topic, *_ in written} == {f"/third_cam/depth/image_raw{name}"}
    kind = messages.JPEG if name else messages.IMAGE
    assert {at_ns: decode_depth(kind, cdr).tolist() for _, at_ns, cdr in written} == {
        at_ns: depth.tolist() for at_ns, depth in depths.items()
    }
    colours = [t for t, *_ in read_messages(tmp_path / "a") if t.startswith("/third_cam/image_raw")]
    assert len(colours) == 60


def test_an_episode_without_its_depth_is_usable_with_care(tmp_path, info, arrivals):
    episode = LiveEpisode(tmp_path / "a", with_depth(RIG), info, "raw")
    for arrival in arrivals:
        episode.write(*arrival)
    quality = episode.finish(info.started_ns + 2_000_000_000)

    assert quality.verdict == "amber"
    assert quality.reasons == ("third_cam depth: no message arrived",)


def depth_cdr(depth, at_ns):
    frame = messages.decode(
        messages.IMAGE, messages.encode_image(np.zeros((1, 1, 3), np.uint8), at_ns, "third_cam")
    )
    height, width = depth.shape
    return messages.encode(
        messages.IMAGE,
        header=frame.header,
        height=height,
        width=width,
        encoding="16UC1",
        is_bigendian=0,
        step=2 * width,
        data=np.frombuffer(depth.tobytes(), np.uint8),
    )


def test_label_and_verdict_are_in_the_metadata(tmp_path, info, arrivals):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "raw")
    episode.label(success=True)
    episode.take_loss(2)
    quality = episode.finish(end_ns)
    assert read_info(tmp_path / "a") == dataclasses.replace(
        info, success=True, verdict="red", reasons=quality.reasons
    )


def test_a_message_that_can_not_be_read_is_written_and_makes_it_red(tmp_path, info, arrivals):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "raw")
    elsewhere = messages.encode_pose(
        Pose(np.zeros(3), np.array([0.0, 0, 0, 1])), info.started_ns, "somewhere"
    )
    episode.write("/tool_pose", end_ns, elsewhere)
    quality = episode.finish(end_ns)
    assert quality.verdict == "red"
    assert (
        "/tool_pose: 1 messages are invalid for the topic: pose is in frame 'somewhere';"
        " expected 'base_link'"
    ) in quality.reasons
    assert ("/tool_pose", info.started_ns, elsewhere) in list(read_messages(tmp_path / "a"))


def test_a_image_that_is_none_makes_it_red_and_the_rest_is_recorded(tmp_path, info, arrivals):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "jpeg")
    cut_short = messages.encode_image(np.zeros((4, 4, 3), np.uint8), end_ns, "optical")[:-20]
    episode.write("/wrist_cam/image_raw", end_ns, cut_short)
    quality = episode.finish(end_ns)
    assert any(
        "/wrist_cam/image_raw: 1 messages are invalid" in reason for reason in quality.reasons
    )
    assert sum(1 for _ in read_messages(tmp_path / "a")) == len(arrivals)


def test_a_image_that_no_jpeg_can_hold_makes_it_red_and_the_rest_is_recorded(
    tmp_path, info, arrivals
):
    topic, received_ns, _ = next(arrival for arrival in arrivals if "image" in arrival[0])
    at_ns = received_ns - TRANSPORT_NS
    wide = messages.encode_image(np.zeros((1, 70_000, 3), np.uint8), at_ns, "frame")
    episode, end_ns = record(tmp_path / "e", info, [(topic, received_ns, wide), *arrivals], "jpeg")
    quality = episode.finish(end_ns)
    assert quality.verdict == "red"
    assert any(topic in reason for reason in quality.reasons)
    written = {name for name, _, _ in read_messages(tmp_path / "e")}
    assert f"{topic}/compressed" in written
    assert "/tool_pose" in written


def test_a_discarded_episode_leaves_nothing(tmp_path, info, arrivals):
    episode, _ = record(tmp_path / "a", info, arrivals[:50], "raw")
    episode.discard()
    assert list(tmp_path.iterdir()) == []


def test_every_source_can_be_written(tmp_path, info):
    episode = LiveEpisode(tmp_path / "a", RIG, info, "raw")
    for topic in sources(RIG):
        if topic.type == messages.TEXT:
            episode.write(topic.name, info.started_ns, messages.encode_text("{}"))
    assert len(list(tmp_path.iterdir())) == 1


def bayer(stamp_ns):
    return messages.encode(
        messages.IMAGE,
        header=messages._header(stamp_ns, "cam"),
        height=12,
        width=16,
        encoding="bayer_rggb8",
        is_bigendian=0,
        step=16,
        data=np.zeros(12 * 16, np.uint8),
    )


def sized(height_px, width_px):
    return lambda stamp_ns: messages.encode_image(
        np.zeros((height_px, width_px, 3), np.uint8), stamp_ns, "cam"
    )


@pytest.mark.parametrize("images", ["raw", "jpeg"])
@pytest.mark.parametrize(
    ("topic", "make", "reason"),
    [
        (
            "/wrist_cam/image_raw",
            bayer,
            "'bayer_rggb8'; expected rgb8, .*: set the camera's driver",
        ),
        ("/wrist_cam/image_raw", sized(0, 16), "16x0 px; expected sides of 1 to"),
        ("/wrist_cam/image_raw", sized(14, 16), "of 16x14 px, the first .* 16x12 px"),
        ("/gripper_state", lambda _: messages.encode_number(np.nan), "closure is nan"),
        ("/gripper_state", lambda _: messages.encode_number(85.0), "closure is 85.0; expected"),
        (
            "/wrench",
            lambda stamp_ns: messages.encode_wrench(np.full(6, np.nan), stamp_ns),
            "wrench is .*nan.* expected finite numbers",
        ),
        ("/gripper_command", lambda _: messages.encode_number(85.0), "command is 85.0; expected"),
        (
            "/target_pose",
            lambda stamp_ns: messages.encode_pose(Pose(np.zeros(3), np.zeros(4)), stamp_ns, BASE),
            "of length 0; expected length 1",
        ),
        (
            "/tool_pose",
            lambda stamp_ns: messages.encode_pose(
                Pose(np.array([450.0, 0, 0]), np.array([0, 0, 0, 1.0])), stamp_ns, BASE
            ),
            "are these metres",
        ),
    ],
)
def test_what_a_dataset_would_refuse_is_red_with_the_reason(
    tmp_path, info, arrivals, topic, make, reason, images
):
    nth = [i for i, arrival in enumerate(arrivals) if arrival[0] == topic][20]
    _, received_ns, _ = arrivals[nth]
    spoilt = [*arrivals]
    spoilt[nth] = (topic, received_ns, make(received_ns - 1_000_000))
    episode, end_ns = record(tmp_path / "a", info, spoilt, images)
    quality = episode.finish(end_ns)
    assert quality.verdict == "red"
    pattern = f"^{topic}: 1 messages are invalid for the topic: .*{reason}"
    assert any(re.match(pattern, each) for each in quality.reasons), quality.reasons


def test_images_of_odd_size_are_red(tmp_path, info, arrivals):
    odd = [
        (topic, at_ns, sized(13, 16)(at_ns) if topic.startswith("/wrist_cam") else cdr)
        for topic, at_ns, cdr in arrivals
    ]
    episode, end_ns = record(tmp_path / "a", info, odd, "jpeg")
    assert any("16x13 px; expected even" in reason for reason in episode.finish(end_ns).reasons)


def test_a_topic_that_a_dataset_needs_is_missed(tmp_path, info, arrivals):
    others = [arrival for arrival in arrivals if arrival[0] != "/gripper_command"]
    episode, end_ns = record(tmp_path / "a", info, others, "raw")
    reasons = episode.finish(end_ns).reasons
    assert reasons == ("no dataset would take it: no message on /gripper_command",)


@pytest.mark.parametrize("back_s", [0.1, 0.4, 3.0])
def test_a_clock_that_is_set_back_makes_it_red(tmp_path, info, arrivals, back_s):
    back_ns = round(back_s * 1e9)
    episode = LiveEpisode(tmp_path / "a", RIG, info, "raw")
    for topic, received_ns, cdr in arrivals:
        late = received_ns > info.started_ns + 1_000_000_000
        if late:
            kind = {each.name: each.type for each in sources(RIG)}[topic]
            stamp_ns = messages.stamp_ns(kind, cdr)
            if stamp_ns is not None:
                seconds, nanoseconds = divmod(stamp_ns - back_ns, 10**9)
                cdr = cdr[:4] + struct.pack("<iI", seconds, nanoseconds) + cdr[12:]
        episode.write(topic, received_ns - late * back_ns, cdr)
    reasons = episode.finish(info.started_ns + 2_000_000_000 - back_ns).reasons
    (said,) = (each for each in reasons if each.startswith("the clock was set back by "))
    assert float(said.split()[6]) == pytest.approx(back_s, abs=0.05)


@pytest.mark.parametrize(
    ("seconds", "nanoseconds"), [(-1, 0), (0, 0), (-(2**31), 0), (2**31 - 1, 2**32 - 1)]
)
def test_a_stamp_of_no_clock_costs_that_message_alone(
    tmp_path, info, arrivals, seconds, nanoseconds
):
    episode, end_ns = record(tmp_path / "a", info, arrivals, "raw")
    pose = messages.encode_pose(Pose(np.zeros(3), np.array([0.0, 0, 0, 1])), 0, BASE)
    pose = pose[:4] + struct.pack("<iI", seconds, nanoseconds) + pose[12:]
    episode.write("/tool_pose", end_ns, pose)
    episode.write("/tool_pose", end_ns, b"\x00\x01")
    reasons = episode.finish(end_ns).reasons
    assert len(reasons) == 1
    assert "/tool_pose: 2 messages are invalid" in reasons[0]
    assert "s from its arrival; expected at most 60 s" in reasons[0]
    assert sum(1 for _ in read_messages(tmp_path / "a")) == len(arrivals)
