"""Tests for cli/record_console.py: keys do what the help says, and what ends is shown."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from carp_ros.cli.record_console import RecordConsole
from carp_ros.errors import DeviceError
from carp_ros.reports.recorder import RecorderStatus

GREEN = RecorderStatus(phase="finished", verdict="green", seconds=4.0)


class Services:
    """The control node's services."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def trigger(self, name: str) -> None:
        self.called.append(name)

    def switch(self, name: str, on: bool) -> None:
        self.called.append(f"{name} {on}")


class Recorder:
    """A recorder whose episodes are all good."""

    def __init__(self) -> None:
        self.node = Services()
        self.recording = False
        self.quality = RecorderStatus(phase="recording", verdict="green")
        self._said: list[RecorderStatus] = []
        self._episodes = 0

    def start(self) -> None:
        self.recording = True
        self._episodes += 1

    def stop(self) -> None:
        self.recording = False
        self._say()

    def mark_success(self, success: bool) -> None:
        if not self._episodes:
            raise DeviceError("nothing was recorded yet")
        self._say(success=success)

    def discard(self) -> None:
        self.recording = False
        self._say(phase="discarded")

    def status_updates(self) -> Iterator[RecorderStatus]:
        while self._said:
            yield self._said.pop(0)

    def _say(self, **content: Any) -> None:
        folder = f"/episodes/cup_{self._episodes}"
        self._said.append(replace(GREEN, **{"folder": folder, **content}))


@pytest.fixture
def attend(monkeypatch):
    def attend(keys: str, episodes: int = 10) -> tuple[Recorder, list[RecorderStatus]]:
        reading, writing = os.pipe()
        os.write(writing, keys.encode())
        os.close(writing)
        recorder, ended = Recorder(), []
        with os.fdopen(reading) as keyboard:
            monkeypatch.setattr(sys, "stdin", keyboard)
            RecordConsole(recorder, ["wrist_cam"], ended).run(episodes)
        return recorder, ended

    return attend


def test_space_starts_and_stops_and_the_verdict_is_shown(attend, capsys):
    _, ended = attend("  ")
    assert [quality.folder for quality in ended] == ["/episodes/cup_1"]
    assert any("cup_1" in line and "green" in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(("key", "success"), [("s", True), ("f", False)])
def test_a_label_is_kept(attend, key, success):
    _, ended = attend(f"  {key}")
    assert [quality.success for quality in ended] == [success]


def test_it_ends_when_enough_episodes_are_labelled(attend):
    _, ended = attend("  s  f    ", episodes=2)
    assert [quality.success for quality in ended] == [True, False]


def test_a_discarded_episode_does_not_count(attend, capsys):
    _, ended = attend("  d")
    assert ended == []
    assert "discarded" in capsys.readouterr().out


def test_leaving_keeps_a_running_episode(attend):
    recorder, ended = attend(" q")
    assert not recorder.recording
    assert len(ended) == 1


def test_the_arm_can_be_enabled_sent_home_and_reset(attend):
    recorder, _ = attend("ehr")
    assert recorder.node.called == [
        "control/select_teleop",
        "control/enable True",
        "control/home",
        "control/reset_fault",
    ]


def test_a_refusal_is_shown_and_the_console_goes_on(attend, capsys):
    _, ended = attend("s  ")
    assert "nothing was recorded yet" in capsys.readouterr().out
    assert len(ended) == 1
