"""The example that doc/dataset.md gives is one: a bag in its shape is converted with it."""

import re
from pathlib import Path

import yaml

from carp_ros.recording import messages
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert
from carp_ros.recording.dataset_files import read_episodes
from carp_ros.recording.mapped_reader import IMAGES, NUMBERS, POSES
from carp_ros.recording.topic_map import TopicMap, read_topic_map

from .foreign_bags import as_recorded_elsewhere, encoded, write_bag

PAGE = (Path(__file__).parents[2] / "doc" / "dataset.md").read_text(encoding="utf-8")


def in_its_shape(stored):
    """Return messages under the example's topics, poses in UR's `base`, commands on change."""
    named = {"/lab/joint_states": "/joint_states", "/lab/gripper": "/gripper/command"}
    last = None
    for received_ns, topic, kind, cdr in stored:
        if topic == "/lab/target":
            continue
        if topic == "/lab/gripper":
            value = messages.decode(kind, cdr).data
            if value == last:
                continue
            last = value
        if topic == "/tcp_pose_broadcaster/pose":
            msg = messages.decode(kind, cdr)
            p, q = msg.pose.position, msg.pose.orientation
            p.x, p.y = -p.x, -p.y
            q.x, q.y, q.z, q.w = -q.y, q.x, q.w, -q.z
            msg.header.frame_id = "base"
            cdr = encoded(kind, msg)
        yield received_ns, named.get(topic, topic), kind, cdr


def test_the_example_of_the_page_converts_a_bag_in_its_shape(make_recording, tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    content = yaml.safe_load(example)
    recording = make_recording(seconds=1.5, compressed=False)
    stored = list(in_its_shape(as_recorded_elsewhere(recording)))
    for number, (received_ns, topic, kind, cdr) in enumerate(stored):
        if topic == "/overview/image_raw":  # which the example has as JPEG
            image = messages.decode_image(kind, cdr)
            jpeg = messages.encode_jpeg(image, messages.stamp_ns(kind, cdr), "cam")
            stored[number] = (received_ns, f"{topic}/compressed", messages.JPEG, jpeg)
    for name in ("take_06", "take_07"):
        write_bag(tmp_path / name, stored)
    (tmp_path / "topics.yaml").write_text(example)
    way = FrameSettings(topics=read_topic_map(tmp_path / "topics.yaml"))
    outcomes = list(
        convert(
            [tmp_path / "take_06", tmp_path / "take_07"], tmp_path / "set", way, EpisodeFilter()
        )
    )
    assert [outcome.reason for outcome in outcomes] == ["", ""]
    rows = read_episodes(tmp_path / "set")
    assert [row["success"] for row in rows] == [True, False]
    assert set(content) <= set(TopicMap.__dataclass_fields__)


def test_the_page_names_every_type_that_is_taken():
    for kind in (*IMAGES, *POSES, *NUMBERS, messages.JOINTS):
        assert f"`{kind.rpartition('/')[2]}`" in PAGE
