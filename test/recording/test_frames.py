"""The parity that training depends on: what the live policy saw is what the dataset shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.errors import EpisodeError
from carp_ros.geometry import slerp
from carp_ros.inference.layout import vector_from_tcp_pose
from carp_ros.inference.observation import SKEW_S, ObservationBuffer
from carp_ros.recording import messages
from carp_ros.recording.bag import read_messages
from carp_ros.recording.frames import FrameMaker
from carp_ros.robots import UR5E
from carp_ros.types import Observation, Pose

CAMERAS = ("wrist_cam", "third_cam")
MS = 1_000_000


def frames_of(source, rate_hz: int = 10):
    return list(FrameMaker(UR5E, CAMERAS, "wrist_cam", rate_hz, SKEW_S).frames(source))


class LivePolicy:
    """Feeds a buffer as messages arrive, late by a chance delay, and looks as soon as it can.

    The gripper's are not late: they are stamped as they arrive.
    """

    def __init__(self, recording, seed: int) -> None:
        rng = np.random.default_rng(seed)
        delays = {t: int(rng.integers(0, 30 * MS)) for t in {m[1] for m in recording.messages}}
        delays["/gripper_state"] = 0
        arrivals = [
            (stamp_ns + delays[t], stamp_ns, t, cdr) for stamp_ns, t, cdr in recording.messages
        ]
        self._buffer = ObservationBuffer(CAMERAS, "wrist_cam", SKEW_S, history_s=0.5)
        self.seen: dict[int, Observation] = {}
        waiting_ns: list[int] = []
        for _, stamp_ns, topic, cdr in sorted(arrivals):
            self._take(topic, stamp_ns, cdr)
            if topic.startswith("/wrist_cam"):
                waiting_ns.append(stamp_ns)
            for capture_ns in list(waiting_ns):
                observation = self._buffer.at(capture_ns)
                if isinstance(observation, Observation):
                    self.seen[capture_ns] = observation
                    waiting_ns.remove(capture_ns)

    def _take(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        match topic.split("/")[1:]:
            case ["joint_states"]:
                joints = messages.decode_joints(cdr, UR5E.joint_names)
                self._buffer.take_joints(stamp_ns, joints)
            case ["tool_pose"]:
                self._buffer.take_tcp_pose(stamp_ns, messages.decode_pose(cdr, "base_link"))
            case ["gripper_state"]:
                self._buffer.take_gripper(stamp_ns, messages.decode_number(cdr))
            case [camera, "image_raw"]:
                image = messages.decode_image(messages.IMAGE, cdr)
                self._buffer.take_image(camera, stamp_ns, image)
            case [camera, "image_raw", "compressed"]:
                image = messages.decode_image(messages.JPEG, cdr)
                self._buffer.take_image(camera, stamp_ns, image)


@pytest.mark.parametrize("compressed", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3, deadline=None)
def test_a_frame_is_bit_for_bit_what_the_live_policy_saw_at_that_time(
    make_recording, tmp_path_factory, compressed, seed
):
    recording = make_recording(seed=seed, jitter_ns=14 * MS, compressed=compressed)
    live = LivePolicy(recording, seed)
    folder = recording.write(tmp_path_factory.mktemp("parity") / "episode")
    frames = frames_of(read_messages(folder))
    assert len(frames) >= 18
    for frame in frames:
        recorded, seen = frame.observation, live.seen[frame.observation.stamp_ns]
        assert recorded.image_stamps_ns == seen.image_stamps_ns
        for camera in CAMERAS:
            assert (recorded.images[camera] == seen.images[camera]).all()
        assert recorded.tcp_pose.position.tolist() == seen.tcp_pose.position.tolist()
        assert recorded.tcp_pose.quaternion.tolist() == seen.tcp_pose.quaternion.tolist()
        assert recorded.gripper == seen.gripper
        assert recorded.joints.tolist() == seen.joints.tolist()


def test_the_action_is_the_target_commanded_at_the_frames_time(make_recording):
    recording = make_recording()
    targets = {
        stamp_ns: messages.decode_pose(cdr, "base_link")
        for stamp_ns, topic, cdr in recording.messages
        if topic == "/target_pose"
    }
    for frame in frames_of((t, ns, cdr) for ns, t, cdr in recording.messages):
        stamp_ns = frame.observation.stamp_ns
        before_ns = stamp_ns - stamp_ns % (10 * MS)
        before, after = targets[before_ns], targets[before_ns + 10 * MS]
        fraction = stamp_ns % (10 * MS) / (10 * MS)
        target = Pose(
            before.position + fraction * (after.position - before.position),
            slerp(before.quaternion, after.quaternion, fraction),
        )
        expected = vector_from_tcp_pose(target, frame.action[9])
        np.testing.assert_allclose(frame.action, expected, atol=1e-12)
        assert frame.action[0] > frame.observation.tcp_pose.position[0]


def played(recording):
    return ((topic, stamp_ns, cdr) for stamp_ns, topic, cdr in recording.messages)


@pytest.mark.parametrize(
    "topic", ["/tool_pose", "/joint_states", "/gripper_command", "/third_cam/image_raw"]
)
def test_a_missing_topic_is_named(make_recording, topic):
    with pytest.raises(EpisodeError, match=f"^no message on {topic}$"):
        frames_of(played(make_recording().without(topic)))


def test_a_silence_is_refused_with_its_time(make_recording):
    recording = make_recording().without_between("/target_pose", 0.9, 1.15)
    with pytest.raises(EpisodeError, match=r"0.90 s after .*: 0.26 s without a target pose; limit"):
        frames_of(played(recording))


def spoilt_pose(number: float) -> bytes:
    pose = Pose(np.array([number, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
    return messages.encode_pose(pose, 0, "base_link")


@pytest.mark.parametrize(
    ("topic", "cdr", "reason"),
    [
        ("/target_pose", spoilt_pose(np.nan), r"pose is \[nan, .*; expected finite numbers"),
        ("/tool_pose", spoilt_pose(np.inf), r"pose is \[inf, .*; expected finite numbers"),
        ("/gripper_command", messages.encode_number(np.nan), "gripper command is nan; expected 0"),
        ("/gripper_command", messages.encode_number(1.5), "gripper command is 1.5; expected 0"),
        ("/gripper_state", messages.encode_number(np.nan), "gripper closure is nan; expected a"),
        ("/joint_states", b"\x00\x01\x00\x00", "4 bytes are no sensor_msgs/msg/JointState"),
    ],
)
def test_a_message_that_is_not_what_it_should_be_is_named_with_its_time(
    make_recording, topic, cdr, reason
):
    recording = make_recording().with_message(1.2, topic, cdr)
    with pytest.raises(EpisodeError, match=f"^{topic} at 1.20 s: {reason}"):
        frames_of(played(recording))


def test_cameras_that_never_overlap_give_no_frame(make_recording):
    recording = make_recording().without_between("/third_cam/image_raw", 0.0, 1.9)
    with pytest.raises(EpisodeError, match=r"not one frame: .*image of third_cam"):
        frames_of(played(recording.without_between("/wrist_cam/image_raw", 1.0, 9.0)))
