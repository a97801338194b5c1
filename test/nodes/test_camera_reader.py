"""Tests for nodes/camera_reader.py: cameras that come, go and lose frames."""

import threading

import numpy as np
import pytest

from carp_ros.errors import DeviceError, UsageError
from carp_ros.hardware.camera import CameraFrame
from carp_ros.nodes.camera_reader import CameraReader
from carp_ros.types import Intrinsics

from ..patience import await_true

INFO = Intrinsics(4, 2, np.eye(3), "cam_optical_frame")


class FakeCamera:
    """Plays what it is given, one thing a read: a sequence number, None for silence, an error."""

    def __init__(self, *plays, opens=()):
        self.plays = list(plays)
        self.opens = list(opens)  # errors of the first openings
        self.opened, self.closed = 0, 0
        self.threads = set()
        self.remarks = ()
        self.idle = threading.Event()

    def open(self):
        self.threads.add(threading.get_ident())
        if self.opens:
            raise self.opens.pop(0)
        self.opened += 1

    @property
    def info(self):
        return INFO

    def read(self, timeout_s):
        self.threads.add(threading.get_ident())
        if not self.plays:
            self.idle.wait(0.01)
            return None
        play = self.plays.pop(0)
        if isinstance(play, Exception):
            raise play
        return (
            play if play is None else CameraFrame(1000 * play, np.zeros((2, 4, 3), np.uint8), play)
        )

    def close(self):
        self.threads.add(threading.get_ident())
        self.closed += 1


class Taken:
    """What a reader delivered, in order."""

    def __init__(self, **cameras):
        self.events, self.lines = [], []
        self.reader = CameraReader(
            cameras,
            lambda name, frame, info: self.events.append(("image", name, frame.sequence)),
            lambda name, frame, info: self.events.append(("info", name, frame.sequence)),
            self.lines.append,
        )

    def __enter__(self):
        self.reader.start()
        return self

    def __exit__(self, *_):
        self.reader.stop()

    def await_events(self, count):
        await_true(lambda: len(self.events) >= count, 5.0, f"{count} events")


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("carp_ros.nodes.camera_reader._PAUSE_S", 0.01)


def test_all_images_of_a_round_come_before_the_first_info():
    with Taken(left=FakeCamera(1, 2), right=FakeCamera(1, 2)) as taken:
        taken.await_events(8)

    one = [("image", "left", 1), ("image", "right", 1), ("info", "left", 1), ("info", "right", 1)]
    two = [(kind, name, 2) for kind, name, _ in one]
    assert taken.events == one + two


def test_one_thread_opens_reads_and_closes_and_it_is_not_the_node_s():
    camera = FakeCamera(1)
    with Taken(cam=camera) as taken:
        taken.await_events(2)

    assert len(camera.threads) == 1
    assert threading.get_ident() not in camera.threads
    assert camera.closed == camera.opened == 1


def test_frames_that_never_came_are_counted_as_lost():
    with Taken(cam=FakeCamera(1, 2, 5, 6)) as taken:
        taken.await_events(8)

    counts = taken.reader.counts["cam"]
    assert (counts.frames, counts.lost) == (4, 2)


def test_a_camera_that_is_gone_is_told_closed_and_opened_again():
    camera = FakeCamera(1, DeviceError("unplugged"), 7, opens=[DeviceError("not there")] * 2)
    with Taken(cam=camera) as taken:
        taken.await_events(4)
        await_true(lambda: not taken.lines[-1].endswith("running"), 5.0, "silence is told")

    assert [e[2] for e in taken.events] == [1, 1, 7, 7]
    assert camera.opened == 2
    assert taken.lines[:4] == ["cam: not there", "cam: running", "cam: unplugged", "cam: running"]


def test_what_a_camera_does_not_accept_is_told_once_and_what_it_finds_out_later_too():
    camera = FakeCamera(1, 2)
    camera.remarks = ("no gain",)
    with Taken(cam=camera) as taken:
        taken.await_events(4)
        camera.remarks += ("no stamps",)
        camera.plays += [3, DeviceError("unplugged"), 4]
        taken.await_events(8)

    said = [line for line in taken.lines if "no " in line]
    assert said[:2] == ["cam: no gain", "cam: no stamps"]
    assert taken.reader.remarks == {"cam": ("no gain", "no stamps")}
    assert len([line for line in said if "gain" in line or "stamps" in line]) == 2


def test_a_silent_camera_keeps_no_other_from_being_taken_and_is_told_by_name():
    with Taken(left=FakeCamera(), right=FakeCamera(1)) as taken:
        taken.await_events(2)
        await_true(lambda: "left" in taken.reader.problem, 5.0, "left is told")

    assert taken.events == [("image", "right", 1), ("info", "right", 1)]
    assert taken.reader.counts["left"].frames == 0


def test_what_can_never_be_opened_ends_the_node_as_a_wrong_argument():
    with Taken(cam=FakeCamera(opens=[ValueError("no size 3x3")])) as taken:
        await_true(lambda: failure(taken.reader) is not None, 5.0, "a failure")

    assert isinstance(failure(taken.reader), UsageError)
    assert str(failure(taken.reader)) == "no size 3x3"


def test_a_bug_of_a_driver_ends_the_node_as_what_it_is_and_the_camera_is_closed():
    camera = FakeCamera(1, KeyError("bug"))
    with Taken(cam=camera) as taken:
        await_true(lambda: failure(taken.reader) is not None, 5.0, "a failure")

    assert isinstance(failure(taken.reader), KeyError)
    assert camera.closed == 1


def failure(reader):
    try:
        reader.raise_failure()
    except Exception as error:
        return error
    return None
