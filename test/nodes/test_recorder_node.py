"""The recorder over ROS, with a rig that is only messages."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from std_msgs.msg import String

from carp_ros.clients.recorder_client import RecorderClient
from carp_ros.errors import DeviceError
from carp_ros.recording.bag import read_info, read_messages
from carp_ros.recording.event import EpisodeEvent
from carp_ros.recording.recover import recover
from carp_ros.reports.recorder import RecorderStatus
from carp_ros.ros.qos import EVENTS
from carp_ros.system.running_system import RunningSystem

from ..patience import await_true
from .recorder_system import running_recorder, writer_of

pytestmark = pytest.mark.realtime

IMAGE_PERIOD_NS = 1e9 / 30


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[tuple[RunningSystem, RecorderClient]]:
    with running_recorder(tmp_path_factory.mktemp("recorder")) as running:
        yield running


@pytest.fixture
def recorder(running) -> RecorderClient:
    return running[1]


def record(recorder: RecorderClient, seconds: float) -> RecorderStatus:
    recorder.start()
    time.sleep(seconds)
    return recorder.stop()


def test_an_episode_is_whole_green_and_says_what_it_is(recorder):
    recorder.configure(task="cup", operator="me", seed=5, images="raw")
    said = record(recorder, 3.0)
    assert (said.phase, said.verdict, said.reasons) == ("finished", "green", ())
    assert said.lost == 0
    folder = Path(said.folder)
    info = read_info(folder)
    assert (info.rig, info.task, info.operator, info.seed) == ("ur5e_sim", "cup", "me", 5)
    assert (info.verdict, info.success) == ("green", None)
    assert info.rig_file["limits"]["max_linear_speed_m_s"] == 0.25
    for camera in ("wrist_cam", "third_cam"):
        stamps = [t for topic, t, _ in read_messages(folder) if topic == f"/{camera}/image_raw"]
        assert len(stamps) == said.received[camera] == said.expected[camera] > 80
        np.testing.assert_allclose(np.diff(stamps), IMAGE_PERIOD_NS, atol=2)


def test_the_verdict_is_said_while_it_is_recorded(recorder):
    recorder.start()
    try:
        await_true(lambda: recorder.quality.seconds > 0.5, 5.0, "how long it is")
        assert recorder.quality.phase == "recording"
        assert recorder.quality.verdict != "unknown"
    finally:
        recorder.stop()


def test_a_label_after_the_end_is_in_the_metadata(recorder):
    said = record(recorder, 1.2)
    recorder.mark_success(True)
    await_true(lambda: recorder.quality.success is True, 5.0, "the label is said")
    assert read_info(Path(said.folder)).success is True


def test_a_label_that_comes_while_the_next_is_recorded_is_of_the_one_before(recorder):
    first = record(recorder, 1.2)
    list(recorder.status_updates())
    recorder.mark_success(False)
    recorder.start()
    await_true(lambda: recorder.quality.seconds > 0.5, 5.0, "the next one is recorded")
    (said,) = recorder.status_updates()
    assert replace(first, success=False) == said
    assert recorder.stop().success is None


def test_buttons_start_and_stop_and_are_part_of_the_episode(recorder):
    publisher = recorder.node.create_publisher(String, "episode/event", EVENTS)
    await_true(lambda: publisher.get_subscription_count() > 0, 5.0, "the recorder listens")

    def wish(name):
        publisher.publish(String(data=EpisodeEvent(name, "spacemouse").to_json()))

    list(recorder.status_updates())
    wish("toggle")
    await_true(lambda: recorder.recording, 5.0, "recording")
    time.sleep(1.2)
    wish("failure")
    wish("toggle")
    await_true(lambda: recorder.quality.phase == "finished", 5.0, "finished")
    (said,) = recorder.status_updates()
    folder = Path(said.folder)
    events = [cdr for topic, _, cdr in read_messages(folder) if topic == "/episode/event"]
    assert [name in str(cdr) for name, cdr in zip(("toggle", "failure", "toggle"), events)]
    assert len(events) == 3
    assert read_info(folder).success is False
    wish("discard")
    await_true(lambda: not folder.exists(), 5.0, "the episode is removed")
    recorder.node.destroy_publisher(publisher)


def test_what_can_not_be_done_is_refused_in_words(recorder):
    with pytest.raises(DeviceError, match="not recording: start first"):
        recorder.stop()
    recorder.start()
    with pytest.raises(DeviceError, match="already recording"):
        recorder.start()
    folder = Path(recorder.discard())
    await_true(lambda: not folder.exists(), 5.0, "discarded")
    with pytest.raises(DeviceError, match="nothing to label"):
        recorder.mark_success(True)
    with pytest.raises(DeviceError, match="images is 'bmp'; expected one of jpeg, raw"):
        recorder.configure(images="bmp")


def test_a_writer_that_dies_is_named_and_replaced(running):
    system, recorder = running
    earlier = Path(record(recorder, 1.2).folder)
    before = {path: path.read_bytes() for path in earlier.iterdir()}
    folder = Path(recorder.start())
    time.sleep(2.5)
    os.kill(writer_of(system), signal.SIGKILL)
    await_true(lambda: recorder.quality.phase == "failed", 5.0, "the death is said")
    assert "died of SIGKILL" in recorder.quality.reasons[0]
    assert recorder.quality.verdict == "red"
    assert {path: path.read_bytes() for path in earlier.iterdir()} == before
    assert recover(folder).seconds > 1.0
    assert record(recorder, 2.0).phase == "finished"
