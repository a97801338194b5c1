import dataclasses
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from carp_ros.evaluation.demonstrations import (
    DemonstrationRecorder,
    DemonstrationSettings,
    record_demonstrations,
)
from carp_ros.geometry import pose_difference
from carp_ros.recording import messages
from carp_ros.recording.bag import read_info, read_messages
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.rig import load_rig

SEED = 3


def small_settings(folder: Path) -> DemonstrationSettings:
    """Demonstrations with small images."""
    rig = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
    cameras = {
        name: dataclasses.replace(camera, width_px=64, height_px=48)
        for name, camera in rig.cameras.items()
    }
    info = EpisodeInfo("ur5e_sim", "cup", "do it", "demonstrator", None, "0.2.0", started_ns=0)
    rig = dataclasses.replace(rig, cameras=cameras)
    return DemonstrationSettings(
        rig, info, None, "normal", timeout_s=40.0, images="raw", folder=folder
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One demonstration: its settings, what came of it, its messages by topic."""
    folder = tmp_path_factory.mktemp("made")
    settings = small_settings(folder)
    recorder = DemonstrationRecorder(settings, folder / "unfinished")
    demonstration = recorder.record(SEED)
    recorder.close()
    by_topic = defaultdict(list)
    for topic, stamp_ns, cdr in read_messages(settings.episode_folder(SEED)):
        by_topic[topic].append((stamp_ns, cdr))
    return settings, demonstration, by_topic


def test_a_demonstration_is_a_complete_episode_that_says_what_it_is(made):
    settings, demonstration, by_topic = made
    info = read_info(settings.episode_folder(SEED))
    assert (info.seed, info.success, info.instruction) == (SEED, True, "do it")
    assert info.verdict == demonstration.verdict == "green"
    assert by_topic["/joint_states"][0][0] == info.started_ns
    with AnyReader([settings.episode_folder(SEED)]) as reader:
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)


def test_every_stream_has_its_rate_and_true_stamps(made):
    _, demonstration, by_topic = made
    rates_hz = {
        "/wrist_cam/image_raw": 30.0,
        "/third_cam/camera_info": 30.0,
        "/joint_states": 100.0,
        "/tool_pose": 100.0,
        "/target_pose": 100.0,
        "/teleop/twist": 100.0,
        "/gripper_state": 25.0,
        "/gripper_command": 25.0,
        "/teleop/deadman": 25.0,
        "/teleop/gripper": 25.0,
    }
    for topic, rate_hz in rates_hz.items():
        stamps_ns = np.array([stamp_ns for stamp_ns, _ in by_topic[topic]])
        assert len(stamps_ns) == pytest.approx(rate_hz * demonstration.seconds, abs=6)
        assert (np.diff(stamps_ns) > 0).all()
        assert np.diff(stamps_ns).max() <= 1e9 / rate_hz + 2e6
    for stamp_ns, cdr in by_topic["/wrist_cam/image_raw"]:
        assert messages.stamp_ns(messages.IMAGE, cdr) == stamp_ns


def test_the_tool_follows_its_target_and_the_image_changes(made):
    settings, _, by_topic = made
    frame = settings.rig.robot.base_frame
    tools = [messages.decode_pose(cdr, frame) for _, cdr in by_topic["/tool_pose"]]
    targets = [messages.decode_pose(cdr, frame) for _, cdr in by_topic["/target_pose"]]
    gaps = [np.linalg.norm(pose_difference(t, g)[:3]) for t, g in zip(tools, targets)]
    assert 0.0 < max(gaps) < 0.02
    images = Counter(cdr[12:] for _, cdr in by_topic["/wrist_cam/image_raw"])
    assert len(images) > 0.8 * len(by_topic["/wrist_cam/image_raw"])


def test_a_seed_gives_the_same_bytes_whatever_was_made_before(tmp_path, made):
    _, _, by_topic = made
    again = dataclasses.replace(small_settings(tmp_path), timeout_s=2.0)
    recorder = DemonstrationRecorder(again, tmp_path / "unfinished")
    recorder.record(SEED + 1)
    recorder.record(SEED)
    recorder.close()
    found = defaultdict(list)
    for topic, stamp_ns, cdr in read_messages(again.episode_folder(SEED)):
        found[topic].append((stamp_ns, cdr))
    assert found
    for topic, its_messages in found.items():
        assert its_messages == by_topic[topic][: len(its_messages)]


def test_an_episode_that_is_there_is_not_made_again(made):
    settings, _, _ = made
    recorder = DemonstrationRecorder(settings, settings.folder / "unfinished")
    with pytest.raises(ValueError, match="cup_normal_000003 exists already"):
        recorder.record(SEED)
    recorder.close()


def test_only_complete_episodes_are_left_when_it_is_stopped(tmp_path):
    settings = dataclasses.replace(small_settings(tmp_path), timeout_s=2.0)
    found = record_demonstrations(settings, range(20), workers=2)
    next(found)
    found.close()
    episodes = list(tmp_path.iterdir())
    assert 1 <= len(episodes) < 10
    for episode in episodes:
        assert sorted(path.suffix for path in episode.iterdir()) == [".mcap", ".yaml"]
        assert read_info(episode).success is False
