"""One odd episode among good ones costs itself alone, and is named; what can be mended is."""

import dataclasses
import os

import numpy as np
import pytest
import yaml

from carp_ros.cli import convert as convert_verb
from carp_ros.cli.convert import ConvertCommand
from carp_ros.recording import bag, messages
from carp_ros.recording.bag import mcap_file, read_info
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.recover import find_recordings as find_all
from carp_ros.recording.recover import recover
from carp_ros.types import Pose


def metadata(change):
    def spoil(folder):
        content = yaml.safe_load((folder / "metadata.yaml").read_text())
        change(content["rosbag2_bagfile_information"])
        (folder / "metadata.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    return spoil


def instead_of(name, make):
    def spoil(folder):
        path = folder / name if name else mcap_file(folder)
        path.unlink()
        make(path)

    return spoil


def fact(name, text):
    return metadata(lambda bag: bag["custom_data"].update({name: text}))


SPOILT = {
    "zeros": lambda folder: (folder / "metadata.yaml").write_bytes(b"\0" * 4096),
    "no utf-8": lambda folder: (folder / "metadata.yaml").write_bytes(b"\xff\xfe"),
    "deep": lambda folder: (folder / "metadata.yaml").write_text("[" * 10**5),
    "large": lambda folder: (folder / "metadata.yaml").write_text("- a\n" * 10**6),
    "list": lambda folder: (folder / "metadata.yaml").write_text("[1]"),
    "no count": metadata(lambda bag: bag.pop("message_count")),
    "count of words": metadata(lambda bag: bag.update(message_count="many")),
    "nothing known": metadata(lambda bag: bag.update(custom_data=None)),
    "no rig": fact("rig_file", "null"),
    "camera that is a path": fact("rig_file", '{"robot": "ur5e", "cameras": {"../x": {}}}'),
    "robot that is a list": fact("rig_file", '{"robot": [], "cameras": {"wrist_cam": {}}}'),
    "seed of words": fact("seed", '"seven"'),
    "no JSON": fact("success", "tru"),
    "pipe for metadata": instead_of("metadata.yaml", os.mkfifo),
    "folder for metadata": instead_of("metadata.yaml", lambda path: path.mkdir()),
    "link to itself": instead_of("metadata.yaml", lambda path: path.symlink_to(path)),
    "pipe for messages": instead_of("", os.mkfifo),
    "folder for messages": instead_of("", lambda path: path.mkdir()),
    "no messages": instead_of("", lambda path: None),
    "no metadata": lambda folder: (folder / "metadata.yaml").unlink(),
}


@pytest.mark.parametrize("name", SPOILT)
def test_an_episode_that_is_damaged_is_refused_and_the_other_one_converted(
    make_recording, tmp_path, name
):
    make_recording(seed=1).write(tmp_path / "bags" / "a_good")
    SPOILT[name](make_recording(seed=2).write(tmp_path / "bags" / "b_odd"))
    outcomes = list(
        convert(
            find_episodes([tmp_path / "bags"]), tmp_path / "set", FrameSettings(), EpisodeFilter()
        )
    )
    assert [outcome.status for outcome in outcomes] == ["added", "refused"]
    assert outcomes[1].reason
    assert "TypeError" not in outcomes[1].reason


@pytest.mark.parametrize(
    ("topic", "cdr", "reason"),
    [
        (
            "/target_pose",
            messages.encode_pose(Pose(np.zeros(3), np.zeros(4)), 0, "base_link"),
            "of length 0; expected length 1",
        ),
        (
            "/wrist_cam/image_raw/compressed",
            messages.encode(
                messages.JPEG,
                header=messages._header(0, "cam"),
                format="jpeg",
                data=np.zeros(0, np.uint8),
            ),
            "with 0 bytes is no image",
        ),
        (
            "/wrist_cam/image_raw/compressed",
            messages.encode(
                messages.JPEG,
                header=messages._header(0, "cam"),
                format="jpeg",
                data=np.frombuffer(
                    b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff" + b"\0" * 20 + b"\xff\xd9",
                    np.uint8,
                ),
            ),
            "65535x65535 px; expected",
        ),
    ],
)
def test_a_message_that_is_odd_is_named_with_its_topic(
    make_recording, tmp_path, topic, cdr, reason
):
    odd = make_recording(seed=2, compressed="compressed" in topic)
    odd = odd.with_message(1.2, topic, cdr)
    odd.write(tmp_path / "bags" / "odd")
    (outcome,) = convert(
        [tmp_path / "bags" / "odd"], tmp_path / "set", FrameSettings(), EpisodeFilter()
    )
    assert outcome.status == "refused"
    assert outcome.reason.startswith(f"{topic} at 1.20 s: ")
    assert reason in outcome.reason
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("back_s", [0.4, 1.0])
def test_a_clock_that_was_set_back_is_named(make_recording, tmp_path, back_s):
    whole = make_recording(seconds=3.0)
    half_ns = whole.messages[0][0] + 1_500_000_000
    back_ns = round(back_s * 1e9)
    later = [(ns - back_ns, topic, cdr) for ns, topic, cdr in whole.messages if ns >= half_ns]
    earlier = [message for message in whole.messages if message[0] < half_ns]
    dataclasses.replace(whole, messages=earlier + later).write(tmp_path / "bag")
    (outcome,) = convert([tmp_path / "bag"], tmp_path / "set", FrameSettings(), EpisodeFilter())
    assert outcome.status == "refused"
    assert outcome.reason.startswith("the clock was set back by ")


def test_a_folder_that_can_not_be_looked_into_is_named_and_the_others_done(
    make_recording, tmp_path, monkeypatch
):
    make_recording(seed=1).write(tmp_path / "bags" / "a")
    locked = make_recording(seed=2).write(tmp_path / "bags" / "b")
    monkeypatch.setattr(bag.os, "access", lambda path, mode: path != locked)
    found = find_episodes([tmp_path / "bags"])
    outcomes = list(convert(found, tmp_path / "set", FrameSettings(), EpisodeFilter()))
    assert [outcome.status for outcome in outcomes] == ["added", "refused"]
    assert "can't be looked into; change its permissions" in outcomes[1].reason
    with pytest.raises(ValueError, match="can't be looked into"):
        recover(locked)


def test_an_episode_without_a_label_is_left_out_unless_asked_for(make_recording, tmp_path):
    make_recording(success=None).write(tmp_path / "bag")
    (outcome,) = convert([tmp_path / "bag"], tmp_path / "set", FrameSettings(), EpisodeFilter())
    assert outcome.status == "unwanted"
    assert "no label" in outcome.reason
    wanted = EpisodeFilter(unlabelled=True)
    (outcome,) = convert([tmp_path / "bag"], tmp_path / "set", FrameSettings(), wanted)
    assert outcome.status == "added"


def test_no_dataset_is_named_if_none_was_made(make_recording, tmp_path, capsys):
    SPOILT["nothing known"](make_recording().write(tmp_path / "bag"))
    assert convert_verb.main(ConvertCommand((tmp_path / "bag",), tmp_path / "set", workers=1)) == 1
    printed = capsys.readouterr().out
    assert "refused       1" in printed
    assert "lacks an episode's metadata" in " ".join(printed.split())
    assert "dataset: " not in printed


@pytest.mark.parametrize("name", ["zeros", "no count", "nothing known", "no utf-8", "list"])
def test_metadata_that_were_lost_are_read_from_the_mcap_file(make_recording, tmp_path, name):
    folder = make_recording().write(tmp_path / "bag")
    known = read_info(folder)
    SPOILT[name](folder)
    assert recover(folder).outcome == "recovered"
    assert dataclasses.replace(read_info(folder), reasons=()) == known
    assert recover(folder).outcome == "whole"
    (outcome,) = convert([folder], tmp_path / "set", FrameSettings(), EpisodeFilter())
    assert outcome.status == "added"


def test_episodes_behind_links_are_found_and_circles_end(make_recording, tmp_path):
    make_recording().write(tmp_path / "shared" / "episode")
    own = tmp_path / "own"
    own.mkdir()
    (own / "linked").symlink_to(tmp_path / "shared" / "episode")
    (own / "circle").symlink_to(own)
    assert find_all(own) == find_episodes([own]) == [own / "linked"]
