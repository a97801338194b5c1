"""Bags of `ros2 bag record` become the rows that the same recording of ours becomes."""

import copy

import numpy as np
import pytest
import yaml

from carp_ros.chain import tcp_pose
from carp_ros.recording import messages
from carp_ros.recording.bag_frames import FrameSettings, episode_frames
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.dataset_files import data_path, read_episodes, video_path
from carp_ros.recording.recorded_episode import open_episode
from carp_ros.recording.tables import read_columns
from carp_ros.recording.topic_map import Placement, read_topic_map
from carp_ros.robots import UR5E
from carp_ros.types import Pose

from .foreign_bags import (
    FINGER,
    MAP,
    MS,
    STORE,
    VARIANTS,
    as_recorded_elsewhere,
    encoded,
    write_bag,
    write_metadata,
    write_raw_mcap,
)

CAMERAS = ("wrist_cam", "third_cam")


def the_map(folder, **changed):
    """Return a map, read from a file as a person would have written it."""
    content = copy.deepcopy(MAP)
    content["cameras"]["third_cam"] = "/overview/image_raw"
    for key, value in changed.items():
        content[key] = value
    path = folder / "topics.yaml"
    given = {key: value for key, value in content.items() if value is not None}
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return read_topic_map(path)


def run(folders, root, topics=None, **wanted):
    return list(convert(folders, root, FrameSettings(topics=topics), EpisodeFilter(**wanted)))


def rows_of(root):
    """Return the numbers of a dataset, and its images as they are stored."""
    columns = read_columns(root / data_path(0))
    videos = [(root / video_path(camera, 0)).read_bytes() for camera in CAMERAS]
    return columns, videos


def assert_same_rows(root, other):
    columns, videos = rows_of(root)
    expected, expected_videos = rows_of(other)
    assert columns.keys() == expected.keys()
    for name, column in columns.items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)
    assert videos == expected_videos
    assert (root / "meta" / "stats.json").read_bytes() == (
        other / "meta" / "stats.json"
    ).read_bytes()


@pytest.fixture(scope="module")
def recording(make_recording):
    return make_recording(seconds=1.5)


@pytest.fixture(scope="module")
def ours(recording, tmp_path_factory):
    """The dataset of the recording as `carp record` stores it."""
    folder = tmp_path_factory.mktemp("ours")
    recording.write(folder / "bag")
    assert [o.status for o in run([folder / "bag"], folder / "set")] == ["added"]
    return folder / "set"


@pytest.fixture(scope="module")
def stored(recording):
    return as_recorded_elsewhere(recording)


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_storage_gives_the_rows_of_our_own(variant, files, stored, ours, tmp_path):
    write_bag(tmp_path / "bags" / "take", stored, variant, files=files)
    (outcome,) = run(find_episodes([tmp_path / "bags"]), tmp_path / "set", the_map(tmp_path))
    assert (outcome.status, outcome.reason) == ("added", "")
    assert_same_rows(tmp_path / "set", ours)
    (row,) = read_episodes(tmp_path / "set")
    assert row["source"] == "take"
    assert row["success"] is True
    assert row["operator"] == "demonstrator"
    assert row["software"] == "ros2 bag record jazzy"
    assert row["started_ns"] == stored[0][0]


@pytest.mark.parametrize("chunks", ["lz4", "none"])
def test_mcap_files_that_only_other_writers_make_are_read(chunks, stored, ours, tmp_path):
    folder = tmp_path / "bag"
    folder.mkdir()
    write_raw_mcap(folder / "bag_0.mcap", stored, chunks=chunks)
    write_metadata(folder, stored, ["bag_0.mcap"], "mcap", "", 9)
    assert run([folder], tmp_path / "set", the_map(tmp_path))[0].reason == ""
    assert_same_rows(tmp_path / "set", ours)


@pytest.mark.parametrize("variant", ["mcap", "sqlite3, messages in zstd"])
def test_messages_that_many_threads_packed_are_put_in_order(variant, stored, ours, tmp_path):
    chance = np.random.default_rng(1)
    places = np.argsort([m[0] + int(chance.integers(0, 100 * MS)) for m in stored], kind="stable")
    assert sum(places != np.arange(len(stored))) > len(stored) // 2
    write_bag(tmp_path / "bag", [stored[place] for place in places], variant, files=2)
    assert run([tmp_path / "bag"], tmp_path / "set", the_map(tmp_path))[0].reason == ""
    assert_same_rows(tmp_path / "set", ours)


@pytest.mark.parametrize("version", [4, 5, 6, 7, 8, 9])
def test_metadata_of_every_version_are_understood(version, stored, tmp_path):
    folder = write_bag(tmp_path / "bag", stored, version=version)
    episode = open_episode(folder, the_map(tmp_path))
    assert episode.metadata.count == len(stored) == sum(map(len, episode.messages()))
    assert episode.info.software == ("ros2 bag record jazzy" if version >= 8 else "ros2 bag record")


def test_jpegs_under_another_name_are_taken(make_recording, tmp_path):
    recording = make_recording(seconds=1.5, compressed=True)
    recording.write(tmp_path / "ours")
    run([tmp_path / "ours"], tmp_path / "expected")
    write_bag(tmp_path / "bag", as_recorded_elsewhere(recording), "sqlite3")
    cameras = {
        "wrist_cam": "/wrist/color/image_raw/compressed",
        "third_cam": "/overview/image_raw/compressed",
    }
    topics = the_map(tmp_path, cameras=cameras)
    assert run([tmp_path / "bag"], tmp_path / "set", topics)[0].reason == ""
    assert_same_rows(tmp_path / "set", tmp_path / "expected")


def test_our_own_episodes_need_no_map_and_take_none(recording, stored, ours, tmp_path):
    recording.write(tmp_path / "bags" / "a_ours")
    write_bag(tmp_path / "bags" / "b_theirs", stored)
    outcomes = run(find_episodes([tmp_path / "bags"]), tmp_path / "set", the_map(tmp_path))
    assert [outcome.status for outcome in outcomes] == ["added", "added"]
    columns = read_columns(tmp_path / "set" / data_path(0))
    half = len(columns["index"]) // 2
    for name in ("observation.state", "observation.joints", "action", "stamp_ns"):
        np.testing.assert_array_equal(columns[name][:half], columns[name][half:])


def frames_of(folder, topics):
    _, frames = episode_frames(open_episode(folder, topics), FrameSettings(topics=topics))
    return list(frames)


def test_the_tool_follows_from_the_joints_where_nobody_recorded_it(stored, tmp_path):
    tool = {"position_m": [0.0, 0.01, 0.15], "quaternion": [0.0, 0.0, 0.6, 0.8]}
    topics = the_map(tmp_path, tool_pose={"source": "joints", "tool": tool})
    kept = [message for message in stored if message[1] != "/tcp_pose_broadcaster/pose"]
    frames = frames_of(write_bag(tmp_path / "bag", kept), topics)
    assert len(frames) > 10
    for frame in frames:
        seen = frame.observation
        expected = tcp_pose(UR5E, topics.tool_pose.tool.pose, seen.joints.tolist())
        # interpolated along a chord instead of an arc, over 10 ms
        np.testing.assert_allclose(seen.tcp_pose.position, expected.position, atol=1e-5)


def test_commands_that_nobody_recorded_are_what_was_measured_later(stored, tmp_path):
    measured = {"source": "measured", "after_s": 0.1}
    topics = the_map(tmp_path, target_pose=measured, gripper_command=measured)
    kept = [message for message in stored if message[1] not in ("/lab/target", "/lab/gripper")]
    frames = frames_of(write_bag(tmp_path / "bag", kept), topics)
    assert len(frames) > 10
    for frame in frames:
        (later,) = [
            other
            for other in frames
            if abs(other.observation.stamp_ns - frame.observation.stamp_ns - 100 * MS) < 6 * MS
        ] or [None]
        if later is None:
            continue
        np.testing.assert_allclose(frame.action[:3], later.observation.tcp_pose.position, atol=5e-4)
        assert abs(frame.action[9] - later.observation.gripper) < 0.04  # read every 40 ms


def test_a_number_that_is_sent_when_it_changes_holds_until_the_next(stored, tmp_path):
    command = {"source": "number", "topic": "/lab/gripper", "hold": True}
    kept, last = [], None
    for message in stored:
        if message[1] == "/lab/gripper":
            value = messages.decode(message[2], message[3]).data
            if value == last or last is None:  # nothing is sent before the first change
                last = value
                continue
            last = value
        kept.append(message)
    assert sum(message[1] == "/lab/gripper" for message in kept) == 1
    frames = frames_of(
        write_bag(tmp_path / "bag", kept), the_map(tmp_path, gripper_command=command)
    )
    start_ns = frames[0].observation.stamp_ns
    for frame in frames:
        s = (frame.observation.stamp_ns - start_ns) * 1e-9
        if s > 1.1:
            assert frame.action[9] == 1.0
        elif s < 0.9:  # as measured
            assert abs(frame.action[9] - frame.observation.gripper) < 0.03


def test_poses_of_another_frame_and_of_the_flange_are_brought_to_ours(recording, stored, tmp_path):
    """UR's `base` is turned by half a turn about z, and its poses may be of the bare flange."""
    base_from_frame = Placement((0.1, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)).pose
    tool = Placement((0.0, 0.0, 0.15), (0.0, 0.0, 0.6, 0.8)).pose
    from carp_ros.geometry import compose, invert

    moved = []
    kinds = {"/tcp_pose_broadcaster/pose": "geometry_msgs/msg/TransformStamped"}
    for received_ns, topic, kind, cdr in stored:
        if topic in kinds:
            msg = messages.decode(messages.POSE, cdr)
            found = messages.pose_of(msg.pose.position, msg.pose.orientation)
            other = compose(compose(invert(base_from_frame), found), invert(tool))
            kind = kinds[topic]
            cdr = transform(other, messages.stamp_ns(messages.POSE, cdr), "base")
        moved.append((received_ns, topic, kind, cdr))
    placed = {
        "frame": "base",
        "base_from_frame": {"position_m": [0.1, 0.0, 0.0], "quaternion": [0, 0, 1, 0]},
        "tool": {"position_m": [0.0, 0.0, 0.15], "quaternion": [0, 0, 0.6, 0.8]},
    }
    tool_pose = {**MAP["tool_pose"], **placed}
    frames = frames_of(write_bag(tmp_path / "bag", moved), the_map(tmp_path, tool_pose=tool_pose))
    recording.write(tmp_path / "ours")
    expected = frames_of(tmp_path / "ours", None)
    assert len(frames) == len(expected) > 10
    for frame, other in zip(frames, expected):
        seen, known = frame.observation.tcp_pose, other.observation.tcp_pose
        np.testing.assert_allclose(seen.position, known.position, atol=1e-9)
        assert abs(seen.quaternion @ known.quaternion) > 1 - 1e-9


def transform(pose: Pose, stamp_ns: int, frame: str) -> bytes:
    kind = "geometry_msgs/msg/TransformStamped"
    p, q = pose.position.tolist(), pose.quaternion.tolist()
    return encoded(
        kind,
        STORE.types[kind](
            header=messages._header(stamp_ns, frame),
            child_frame_id="tool0",
            transform=STORE.types["geometry_msgs/msg/Transform"](
                translation=STORE.types["geometry_msgs/msg/Vector3"](*p),
                rotation=STORE.types["geometry_msgs/msg/Quaternion"](*q),
            ),
        ),
    )


def test_a_gripper_that_reports_joints_of_its_own_on_the_arms_topic_disturbs_nobody(
    stored, ours, tmp_path
):
    kind = messages.JOINTS
    other = messages.encode_joints((FINGER,), np.array([0.4]), np.zeros(1), 0, "gripper")
    apart = []
    for received_ns, topic, of_kind, cdr in stored:
        if of_kind == kind:
            msg = messages.decode(kind, cdr)
            if FINGER in msg.name:
                value = msg.position[msg.name.index(FINGER)]
                stamp_ns = messages.stamp_ns(kind, cdr)
                other = messages.encode_joints(
                    (FINGER,), np.array([value]), np.zeros(1), stamp_ns, "gripper"
                )
                apart.append((received_ns, topic, kind, other))
                kept = [n for n in range(len(msg.name)) if msg.name[n] != FINGER]
                msg.name, msg.position = [msg.name[n] for n in kept], msg.position[kept]
                cdr = encoded(kind, msg)
        apart.append((received_ns, topic, of_kind, cdr))
    write_bag(tmp_path / "bag", apart)
    assert run([tmp_path / "bag"], tmp_path / "set", the_map(tmp_path))[0].reason == ""
    assert_same_rows(tmp_path / "set", ours)


def test_messages_in_big_endian_are_the_same_messages(stored, ours, tmp_path):
    turned = [
        (received_ns, topic, kind, encoded(kind, messages.decode(kind, cdr), big_endian=True))
        for received_ns, topic, kind, cdr in stored
    ]
    write_bag(tmp_path / "bag", turned)
    assert run([tmp_path / "bag"], tmp_path / "set", the_map(tmp_path))[0].reason == ""
    assert_same_rows(tmp_path / "set", ours)


def test_a_stamp_that_nobody_has_set_is_the_time_of_arrival(stored, ours, tmp_path):
    at_once = [(r - 3 * MS if k != "std_msgs/msg/Float32" else r, t, k, c) for r, t, k, c in stored]
    blank = []
    for received_ns, topic, kind, cdr in at_once:
        msg = messages.decode(kind, cdr)
        if topic == "/lab/joint_states":
            msg.header.stamp.sec = msg.header.stamp.nanosec = 0
        blank.append((received_ns, topic, kind, encoded(kind, msg)))
    write_bag(tmp_path / "bag", sorted(blank))
    assert run([tmp_path / "bag"], tmp_path / "set", the_map(tmp_path))[0].reason == ""
    assert_same_rows(tmp_path / "set", ours)


def test_labels_of_a_bag_are_its_own_before_the_maps_and_the_maps_word_on_it_before_both(
    stored, tmp_path
):
    custom = {"success": "false", "operator": "second", "task": "bowl"}
    write_bag(tmp_path / "take_1", stored)
    write_bag(tmp_path / "take_2", stored, custom=custom)
    write_bag(tmp_path / "take_3", stored, custom=custom)
    topics = the_map(tmp_path, bags={"take_3": {"success": True, "instruction": "Try again."}})
    one, two, three = (open_episode(tmp_path / f"take_{n}", topics).info for n in (1, 2, 3))
    assert (one.success, one.operator, one.task) == (True, "demonstrator", "cup")
    assert (two.success, two.operator, two.task) == (False, "second", "bowl")
    assert (three.success, three.operator, three.instruction) == (True, "second", "Try again.")


def test_a_bag_that_nobody_labelled_is_left_out_unless_asked_for(stored, tmp_path):
    write_bag(tmp_path / "bag", stored)
    topics = the_map(tmp_path, success=None)
    assert run([tmp_path / "bag"], tmp_path / "set", topics)[0].status == "unwanted"
    assert run([tmp_path / "bag"], tmp_path / "set", topics, unlabelled=True)[0].status == "added"
