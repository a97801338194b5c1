import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.geometry import quaternion_from_rotvec, rotation_between
from carp_ros.inference.observation import STATE_GAP_S, ObservationBuffer
from carp_ros.types import Observation, Pose

MS = 1_000_000
SKEW_S = 0.05
CAMERAS = ("wrist_cam", "third_cam")


def image_at(stamp_ns: int) -> np.ndarray:
    """Return an image that tells when it was captured."""
    return np.full((2, 3, 3), stamp_ns // MS % 256, np.uint8)


def tool_at(stamp_ns: int) -> Pose:
    """Return where a tool is that moves at 1 m/s along x and turns at 1 rad/s about z."""
    s = stamp_ns * 1e-9
    return Pose(np.array([s, 0.0, 0.3]), quaternion_from_rotvec(np.array([0.0, 0.0, s])))


class Stage:
    """Streams that begin and end when told: the cameras every 33 ms, all else every 10 ms."""

    def __init__(self, third_cam_late_ns: int = 0) -> None:
        self.messages = []
        for stamp_ns in range(0, 2000 * MS, 10 * MS):
            self.messages += [(stamp_ns, "tool"), (stamp_ns, "joints"), (stamp_ns, "gripper")]
        for stamp_ns in range(0, 2000 * MS, 33 * MS):
            self.messages += [(stamp_ns, "wrist_cam"), (stamp_ns + third_cam_late_ns, "third_cam")]
        self.messages.sort()

    def play(self, buffer: ObservationBuffer, until_ns: int, without: tuple[str, ...] = ()) -> None:
        for stamp_ns, stream in self.messages:
            if stamp_ns <= until_ns and stream not in without:
                feed(buffer, stream, stamp_ns)


def feed(buffer: ObservationBuffer, stream: str, stamp_ns: int) -> None:
    match stream:
        case "tool":
            buffer.take_tcp_pose(stamp_ns, tool_at(stamp_ns))
        case "joints":
            buffer.take_joints(stamp_ns, np.full(6, stamp_ns * 1e-9))
        case "gripper":
            buffer.take_gripper(stamp_ns, stamp_ns * 1e-9 / 2)
        case _:
            buffer.take_image(stream, stamp_ns, image_at(stamp_ns))


def make_buffer(history_s: float = 5.0) -> ObservationBuffer:
    return ObservationBuffer(CAMERAS, "wrist_cam", SKEW_S, history_s)


def newest_of(buffer: ObservationBuffer) -> Observation | str:
    found = buffer.recent(1, 0)
    return found if isinstance(found, str) else found[0]


def fed(until_ns: int = 1000 * MS, **kwargs) -> ObservationBuffer:
    buffer = make_buffer()
    Stage().play(buffer, until_ns, **kwargs)
    return buffer


@given(st.integers(0, 900 * MS))
def test_the_state_is_that_of_the_moment(stamp_ns):
    observation = fed().at(stamp_ns)
    assert isinstance(observation, Observation)
    true = tool_at(stamp_ns)
    np.testing.assert_allclose(observation.tcp_pose.position, true.position, atol=1e-9)
    assert np.linalg.norm(rotation_between(observation.tcp_pose.quaternion, true.quaternion)) < 1e-9
    np.testing.assert_allclose(observation.joints, stamp_ns * 1e-9, atol=1e-9)
    read_ns = stamp_ns // (10 * MS) * 10 * MS
    assert observation.gripper == pytest.approx(read_ns * 1e-9 / 2, abs=1e-9)


@given(st.integers(0, 900 * MS), st.integers(0, 30 * MS))
def test_every_image_is_the_one_captured_nearest(stamp_ns, late_ns):
    buffer = make_buffer()
    Stage(late_ns).play(buffer, 1000 * MS)
    observation = buffer.at(stamp_ns)
    assert isinstance(observation, Observation)
    for name, offset_ns in (("wrist_cam", 0), ("third_cam", late_ns)):
        captures_ns = range(offset_ns, 2000 * MS, 33 * MS)
        nearest_ns = min(captures_ns, key=lambda capture_ns: abs(capture_ns - stamp_ns))
        assert observation.image_stamps_ns[name] == nearest_ns
        assert (observation.images[name] == image_at(nearest_ns)).all()


@given(st.integers(0, 1000 * MS), st.integers(0, 80 * MS), st.integers(0, 30 * MS))
def test_an_answer_is_final_whatever_comes_later(stamp_ns, after_ns, late_ns):
    early, late = make_buffer(), make_buffer()
    stage = Stage(late_ns)
    stage.play(early, stamp_ns + after_ns)
    stage.play(late, 2000 * MS)
    first, then = early.at(stamp_ns), late.at(stamp_ns)
    if isinstance(first, str):
        return
    assert isinstance(then, Observation)
    assert first.image_stamps_ns == then.image_stamps_ns
    assert first.tcp_pose.position.tolist() == then.tcp_pose.position.tolist()
    assert first.tcp_pose.quaternion.tolist() == then.tcp_pose.quaternion.tolist()
    assert (first.joints.tolist(), first.gripper) == (then.joints.tolist(), then.gripper)


@given(st.floats(0.05, 0.5), st.integers(0, 1500 * MS))
def test_a_short_history_answers_as_a_long_one_or_says_why_not(history_s, stamp_ns):
    short, long = make_buffer(history_s), make_buffer()
    for buffer in (short, long):
        Stage(7 * MS).play(buffer, 1500 * MS)
    answer, true = short.at(stamp_ns), long.at(stamp_ns)
    if isinstance(answer, Observation):
        assert isinstance(true, Observation)
        assert answer.image_stamps_ns == true.image_stamps_ns
        assert answer.joints.tolist() == true.joints.tolist()
    elif isinstance(true, Observation):
        assert "history" in answer


def test_the_history_is_bounded():
    buffer = make_buffer(history_s=0.2)
    Stage().play(buffer, 2000 * MS)
    kept = [len(track.stamps_ns) for track in (*buffer._images.values(), buffer._tcp_poses)]
    assert kept == [8, 8, 22]


@pytest.mark.parametrize(
    ("silent", "name"),
    [
        ("third_cam", "image of third_cam"),
        ("tool", "tool pose"),
        ("joints", "joint state"),
        ("gripper", "gripper closure"),
    ],
)
def test_a_stream_that_never_came_is_named(silent, name):
    assert fed(without=(silent,)).at(330 * MS) == f"no {name} yet"


def test_a_camera_that_fell_silent_is_named_with_its_age():
    buffer = fed(without=("third_cam",))
    feed(buffer, "third_cam", 620 * MS)
    assert buffer.at(930 * MS) == "newest image of third_cam is 0.31 s old; limit 0.05 s"


def test_an_image_too_far_from_the_moment_is_refused():
    buffer = fed(without=("third_cam",))
    for stamp_ns in (100 * MS, 400 * MS):
        feed(buffer, "third_cam", stamp_ns)
    assert buffer.at(231 * MS) == "nearest image of third_cam is 0.13 s away; limit 0.05 s"


def test_nothing_is_extrapolated():
    buffer = make_buffer()
    Stage().play(buffer, 1000 * MS, without=("tool",))
    feed(buffer, "tool", 100 * MS)
    feed(buffer, "tool", 200 * MS)
    assert buffer.at(66 * MS) == "first tool pose is 0.03 s later"
    assert buffer.at(231 * MS) == "newest tool pose is 0.031 s old; waiting for the next"
    assert isinstance(buffer.at(165 * MS), Observation)


def test_what_the_arm_did_in_a_long_silence_is_not_made_up():
    buffer = fed(without=("tool",))
    feed(buffer, "tool", 0)
    feed(buffer, "tool", round((STATE_GAP_S + 0.1) * 1e9))
    assert buffer.at(99 * MS) == "0.30 s without a tool pose; limit 0.20 s"


def test_the_newest_observation_is_of_the_latest_image_that_all_streams_have_passed():
    buffer = make_buffer()
    Stage(third_cam_late_ns=20 * MS).play(buffer, 1000 * MS)
    observation = newest_of(buffer)
    assert isinstance(observation, Observation)
    assert observation.stamp_ns == observation.image_stamps_ns["wrist_cam"] == 957 * MS
    assert observation.image_stamps_ns["third_cam"] == 944 * MS


def test_the_newest_observation_of_nothing_is_a_reason():
    assert newest_of(make_buffer()) == "no image of wrist_cam yet"
    assert newest_of(fed(until_ns=0, without=("gripper",))) == "no gripper closure yet"


@pytest.mark.parametrize(
    ("silent", "name"),
    [
        ("third_cam", "image of third_cam"),
        ("tool", "tool pose"),
        ("joints", "joint state"),
    ],
)
def test_what_an_observation_waits_for_is_named(silent, name):
    assert fed(without=(silent,)).slowest == name
    buffer = fed(without=(silent,))
    feed(buffer, silent, 500 * MS)
    assert buffer.slowest == name


def test_the_gripper_is_not_waited_for():
    buffer = fed(without=("gripper",))
    feed(buffer, "gripper", 900 * MS)
    observation = newest_of(buffer)
    assert isinstance(observation, Observation)
    assert observation.stamp_ns == 990 * MS
    assert observation.gripper == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("read_ns", "reason"),
    [
        (700 * MS, "newest gripper closure is 0.23 s old; limit 0.20 s"),
        (931 * MS, "first gripper closure is 0.00 s later"),
    ],
)
def test_a_gripper_that_was_not_read_lately_is_refused(read_ns, reason):
    buffer = fed(without=("gripper",))
    feed(buffer, "gripper", read_ns)
    assert buffer.at(930 * MS) == reason


def test_a_value_that_is_not_newer_is_ignored():
    buffer = fed()
    before = list(buffer._gripper.stamps_ns)
    for stamp_ns in (901 * MS, 1000 * MS):
        buffer.take_gripper(stamp_ns, 0.99)
    assert buffer._gripper.stamps_ns == before


def test_a_clock_that_was_set_back_begins_every_stream_anew():
    buffer = fed()
    newest_ns = buffer.newest_ns
    back_ns = newest_ns - 900 * MS
    for stamp_ns in (back_ns, back_ns + 20 * MS):
        for stream in (*CAMERAS, "tool", "joints", "gripper"):
            feed(buffer, stream, stamp_ns)
    assert buffer.newest_ns == back_ns + 20 * MS < newest_ns
    observation = newest_of(buffer)
    assert not isinstance(observation, str), observation
    assert observation.stamp_ns == back_ns + 20 * MS


def test_a_reference_that_is_no_camera_is_refused():
    with pytest.raises(ValueError, match="'side_cam'; cameras are wrist_cam, third_cam"):
        ObservationBuffer(CAMERAS, "side_cam")


def test_a_wrench_that_is_asked_for_is_interpolated_and_waited_for():
    buffer = ObservationBuffer(CAMERAS, "wrist_cam", SKEW_S, 5.0, wrench=True)
    Stage().play(buffer, 1000 * MS)
    assert buffer.at(990 * MS) == "no wrench yet"
    for stamp_ns in range(0, 1000 * MS, 20 * MS):
        buffer.take_wrench(stamp_ns, np.full(6, stamp_ns * 1e-9))
    found = buffer.at(495 * MS)
    assert isinstance(found, Observation)
    np.testing.assert_allclose(found.wrench, np.full(6, 0.495))
    assert isinstance(buffer.at(985 * MS), str)


def test_a_wrench_that_nobody_asked_for_costs_nothing():
    buffer = make_buffer()
    Stage().play(buffer, 1000 * MS)
    buffer.take_wrench(0, np.zeros(6))
    found = buffer.at(990 * MS)
    assert isinstance(found, Observation)
    assert found.wrench is None
