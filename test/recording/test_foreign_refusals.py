"""What can't be used of a bag is refused with topic, value and remedy; the other bags convert."""

import sqlite3

import numpy as np
import pytest
import yaml

from carp_ros.recording import messages
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.topic_map import read_topic_map
from carp_ros.types import Pose

from .foreign_bags import MAP, STORE, as_recorded_elsewhere, encoded, write_bag


@pytest.fixture(scope="module")
def stored(make_recording):
    return as_recorded_elsewhere(make_recording(seconds=1.2))


def the_map(folder, **changed):
    content = {**MAP, "cameras": {**MAP["cameras"], "third_cam": "/overview/image_raw"}, **changed}
    path = folder / "topics.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_topic_map(path)


def other_image(encoding):
    msg = messages.decode(messages.IMAGE, messages.encode_image(np.zeros((48, 64, 3), "u1"), 0, ""))
    msg.encoding = encoding
    return encoded(messages.IMAGE, msg)


def exchanged(topic, cdr, kind=None):
    """Return what puts other bytes into the tenth message of a topic, or all of another type."""

    def change(stored):
        places = [i for i, message in enumerate(stored) if message[1] == topic]
        changed = list(stored)
        for place in places if kind else places[9:10]:
            received_ns, _, of_kind, _ = stored[place]
            changed[place] = (received_ns, topic, kind or of_kind, cdr)
        return changed

    return change


def renamed_joints(stored):
    changed = []
    for received_ns, topic, kind, cdr in stored:
        if kind == messages.JOINTS:
            msg = messages.decode(kind, cdr)
            msg.name = [f"left_{name}" for name in msg.name]
            cdr = encoded(kind, msg)
        changed.append((received_ns, topic, kind, cdr))
    return changed


NUMBER = STORE.types["std_msgs/msg/Float32"]
ODD = {
    "no such topic": (
        lambda stored: [message for message in stored if message[1] != "/lab/target"],
        "has no topic /lab/target, which the map names at target_pose; expected one of the bag's",
    ),
    "another type": (
        exchanged("/lab/target", messages.encode_number(1.0), messages.NUMBER),
        "topic /lab/target is of type std_msgs/msg/Float64; expected geometry_msgs/msg/PoseStamped",
    ),
    "another frame": (
        exchanged("/lab/target", messages.encode_pose(Pose(np.zeros(3), np.eye(4)[3]), 0, "base")),
        "pose is in frame 'base'; expected 'base_link': say so in the map",
    ),
    "an encoding of a depth camera": (
        exchanged("/wrist/color/image_raw", other_image("16UC1")),
        "image is encoded as '16UC1'; expected rgb8, bgr8, mono8",
    ),
    "a gripper beyond its range": (
        exchanged("/lab/gripper", encoded("std_msgs/msg/Float32", NUMBER(data=85.0))),
        "/lab/gripper at 0.36 s: gripper is at 85; expected about 0 (open) to 1 (closed), as the",
    ),
    "joints of another name": (
        renamed_joints,
        "no message on /lab/joint_states (the map's gripper_state), /lab/joint_states (the map's"
        " joint_states)",
    ),
    "bytes that are no message": (
        exchanged("/lab/gripper", b"\x00"),
        "/lab/gripper at 0.36 s: 1 bytes are no std_msgs/msg/Float32",
    ),
    "a clock that nobody has set": (
        exchanged(
            "/lab/target", messages.encode_pose(Pose(np.zeros(3), np.eye(4)[3]), 10**9, "base_link")
        ),
        "/lab/target: a header's stamp lies -1699999999 s from its arrival; expected at most 60 s",
    ),
}


def damaged_database(folder):
    path = next(folder.glob("*.db3"))
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 200_000)


def other_database(folder):
    path = next(folder.glob("*.db3"))
    path.unlink()
    sqlite3.connect(path).execute("CREATE TABLE notes(text)")


def odd_rows(folder):
    with sqlite3.connect(next(folder.glob("*.db3"))) as database:
        database.execute("UPDATE messages SET data = 'words' WHERE id = 40")


def fewer_rows(folder):
    with sqlite3.connect(next(folder.glob("*.db3"))) as database:
        database.execute("DELETE FROM messages WHERE id > 200")


def metadata(**changed):
    def change(folder):
        content = yaml.safe_load((folder / "metadata.yaml").read_text())
        content["rosbag2_bagfile_information"] |= changed
        (folder / "metadata.yaml").write_text(yaml.safe_dump(content))

    return change


DAMAGED = {
    "database": (damaged_database, "DatabaseError"),
    "another database": (other_database, "no such table: topics"),
    "rows of text": (odd_rows, "is no message; was the bag damaged?"),
    "rows that are gone": (fewer_rows, "is cut off after 200 of"),
    "no file": (lambda folder: next(folder.glob("*.db3")).unlink(), "is no file; expected an SQL"),
    "no metadata": (lambda folder: (folder / "metadata.yaml").unlink(), "`ros2 bag reindex`"),
    "another storage": (
        metadata(storage_identifier="lines"),
        "storage_identifier is 'lines'; expected mcap or sqlite3",
    ),
    "a version to come": (metadata(version=12), "version is 12; expected 1 to 9"),
    "another compression": (
        metadata(compression_mode="FILE", compression_format="lz77"),
        "compression_format is 'lz77'; expected zstd",
    ),
    "not packed at all": (
        metadata(compression_mode="MESSAGE", compression_format="zstd"),
        "a message packed with zstd",
    ),
    "a file outside": (metadata(relative_file_paths=["../other/x.db3"]), "x.db3 is no file"),
    "a file twice": (metadata(relative_file_paths=["a.db3", "a.db3"]), "each once"),
    "a label that is none": (
        metadata(custom_data={"success": "perhaps"}),
        "success is 'perhaps'; expected true or false",
    ),
}


@pytest.fixture(scope="module")
def outcomes(stored, tmp_path_factory):
    """What becomes of all these bags in one batch, between two that are sound; by name."""
    folder = tmp_path_factory.mktemp("batch")
    for name in ("a good one", "z good one"):
        write_bag(folder / "bags" / name, stored)
    for name, (change, _) in ODD.items():
        write_bag(folder / "bags" / name, change(stored), "sqlite3")
    for name, (spoil, _) in DAMAGED.items():
        spoil(write_bag(folder / "bags" / name, stored, "sqlite3"))
    way = FrameSettings(topics=the_map(folder))
    found = convert(find_episodes([folder / "bags"]), folder / "set", way, EpisodeFilter())
    return {outcome.folder.name: outcome for outcome in found}


@pytest.mark.parametrize(("name", "reason"), [(k, v[1]) for k, v in {**ODD, **DAMAGED}.items()])
def test_an_odd_bag_costs_itself_alone_and_says_why(name, reason, outcomes):
    assert outcomes[name].status == "refused"
    assert reason in outcomes[name].reason


def test_the_sound_bags_around_it_are_converted(outcomes):
    added = [name for name, outcome in outcomes.items() if outcome.status == "added"]
    assert added == ["a good one", "z good one"]


def test_a_packed_file_that_is_cut_off_says_how_much_is_left(stored, tmp_path):
    folder = write_bag(tmp_path / "bag", stored, "mcap, files in zstd")
    path = next(folder.glob("*.zstd"))
    path.write_bytes(path.read_bytes()[:-5000])
    (outcome,) = convert(
        [folder], tmp_path / "set", FrameSettings(topics=the_map(tmp_path)), EpisodeFilter()
    )
    assert f"of {len(stored)} messages; `ros2 bag reindex" in outcome.reason


def test_a_bag_without_a_map_is_refused_with_the_way_to_one(stored, tmp_path):
    folder = write_bag(tmp_path / "bag", stored)
    (outcome,) = convert([folder], tmp_path / "set", FrameSettings(), EpisodeFilter())
    assert outcome.status == "refused"
    assert "expected a map of its 7 topics: --topics" in outcome.reason
    assert "--suggest-topics" in outcome.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"robot": "ur6"}, "robot is 'ur6'; expected one of ur5e, fr3"),
        ({"cameras": {}}, "cameras is {}; expected 1 to 16"),
        ({"cameras": {"wrist": "wrist image"}}, "cameras.wrist is 'wrist image'; expected a topic"),
        ({"cameras": {"../x": "/a"}}, "cameras: key is '../x'; expected a name of lower-case"),
        ({"cameras": {"a": "/a", "b": "/a"}}, "cameras: topics are /a, /a; expected each once"),
        ({"grippers": {}}, "unknown key 'grippers'; expected some of rig, robot"),
        ({"tool_pose": {"source": "tf"}}, "source is 'tf'; expected one of topic, joints"),
        ({"tool_pose": {"topic": "/a"}}, "tool_pose: key 'source' is missing; add it: topic, join"),
        (
            {"tool_pose": {"source": "topic", "topic": "/a", "frame": "base"}},
            "tool_pose: frame is 'base', not 'base_link'; expected base_from_frame beside it",
        ),
        ({"joint_states": {"names": ["a", "b"]}}, "joint_states: names are a, b; expected 6"),
        (
            {"target_pose": {"source": "measured", "after_s": 3.0}},
            "target_pose: after_s is 3.0; expected 0 to 0.4",
        ),
        (
            {"gripper_state": {"source": "number", "topic": "/a", "open": 1, "closed": 1}},
            "gripper_state: open and closed are both 1; expected two numbers",
        ),
        ({"success": "yes"}, "success is 'yes'; expected a bool"),
        ({"bags": {"take_1": {"sucess": True}}}, "bags.take_1: unknown key 'sucess'"),
    ],
)
def test_a_map_says_file_key_and_value_of_what_is_wrong(changed, words, tmp_path):
    with pytest.raises(ValueError, match=r"topics\.yaml") as refusal:
        the_map(tmp_path, **changed)
    assert words in str(refusal.value)
