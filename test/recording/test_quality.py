"""Tests for recording/quality.py: each fault of a recording is seen, named, and alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.recording.quality import Quality, QualityMonitor
from carp_ros.rig import Rig, load_rig
from carp_ros.types import Pose, Twist

RIG: Rig = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
BEGAN_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass
class Frame:
    """One image: when captured and received, and what it shows."""

    stamp_ns: int
    received_ns: int
    fingerprint: int


@dataclass
class Episode:
    """A healthy episode, for a test to harm before it is judged; times from its beginning."""

    seconds: float = 8.0
    frames: dict[str, list[Frame]] = field(default_factory=dict)
    states: dict[str, list[int]] = field(default_factory=dict)
    tool_at: Callable[[float], np.ndarray] = lambda s: np.array([0.5, 0.05 * np.sin(s), 0.2])
    twist_m_s: float = 0.1
    gripper: bool = True
    status: dict = field(default_factory=lambda: {"fault": "NONE", "fault_text": ""})
    lost: int = 0

    def __post_init__(self) -> None:
        for name in RIG.cameras:
            times = [round(k / 30 * SECOND) for k in range(round(30 * self.seconds))]
            self.frames[name] = [Frame(t, t + 20_000_000, k) for k, t in enumerate(times)]
        for name in ("joint_states", "tool_pose", "target_pose"):
            self.states[name] = [round(k / 100 * SECOND) for k in range(round(100 * self.seconds))]

    def quality(self) -> Quality:
        monitor = QualityMonitor(RIG, BEGAN_NS)
        for _, act in sorted(self._events(monitor), key=lambda event: event[0]):
            act()
        monitor.take_loss(self.lost)
        monitor.take_status(self.status)
        return monitor.quality(BEGAN_NS + round(self.seconds * SECOND))

    def _events(self, monitor: QualityMonitor):
        for name, frames in self.frames.items():
            for f in frames:
                yield (
                    f.received_ns,
                    lambda name=name, f=f: monitor.take_image(
                        name, BEGAN_NS + f.stamp_ns, BEGAN_NS + f.received_ns, f.fingerprint
                    ),
                )
        take = {"tool_pose": monitor.take_tcp_pose, "target_pose": monitor.take_target}
        for name, stamps in self.states.items():
            for t in stamps:
                yield t, lambda name=name, t=t: self._take_state(monitor, take, name, t)

    def _take_state(self, monitor: QualityMonitor, take: dict, name: str, t: int) -> None:
        at = BEGAN_NS + t
        if name == "joint_states":
            monitor.take_joints(at, at)
            monitor.take_twist(Twist(np.array([self.twist_m_s, 0, 0]), np.zeros(3)))
            if self.gripper:
                monitor.take_gripper(at, 0.0)
        else:
            take[name](at, at, Pose(self.tool_at(t / SECOND), DOWN))


def only_reason(quality: Quality, verdict: str) -> str:
    assert quality.verdict == verdict, quality
    assert len(quality.reasons) == 1, quality.reasons
    return quality.reasons[0]


def test_a_healthy_episode_is_green_without_reasons():
    quality = Episode().quality()
    assert (quality.verdict, quality.reasons) == ("green", ())
    states = dict.fromkeys(("joint_states", "tool_pose", "target_pose"), 800)
    assert quality.received == quality.expected == {"wrist_cam": 240, "third_cam": 240, **states}


@pytest.mark.parametrize(("kept", "verdict"), [(9 / 10, "amber"), (2 / 3, "red")])
def test_a_slow_camera_is_named_with_its_share(kept, verdict):
    episode = Episode()
    frames = episode.frames["third_cam"]
    episode.frames["third_cam"] = [
        frame for k, frame in enumerate(frames) if k % 30 < 30 * kept or k == len(frames) - 1
    ]
    quality = episode.quality()
    assert quality.verdict == verdict
    assert any(
        f"{kept:.0%} of 30 Hz" in reason and "third_cam" in reason for reason in quality.reasons
    )


@pytest.mark.parametrize(("missing", "verdict"), [(5, "amber"), (17, "red")])
def test_a_gap_is_named_with_its_length(missing, verdict):
    episode = Episode(seconds=30.0)
    del episode.frames["wrist_cam"][100 : 100 + missing]
    quality = episode.quality()
    assert quality.verdict == verdict
    assert quality.reasons[0] == f"wrist_cam: nothing for {(missing + 1) / 30:.2f} s in between"


@pytest.mark.parametrize("name", ["wrist_cam", "third_cam", "joint_states", "tool_pose"])
def test_a_missing_topic_is_red(name):
    episode = Episode()
    if name in episode.frames:
        episode.frames[name] = []
    else:
        episode.states[name] = []
    quality = episode.quality()
    assert quality.verdict == "red"
    assert f"{name}: no message arrived" in quality.reasons


def test_a_missing_gripper_is_red():
    assert only_reason(Episode(gripper=False).quality(), "red").startswith("gripper_state")


def test_a_camera_that_dies_is_red():
    episode = Episode()
    del episode.frames["wrist_cam"][150:]
    assert "wrist_cam: ended 3.03 s too early" in episode.quality().reasons


def test_a_camera_that_comes_late_is_red():
    episode = Episode()
    del episode.frames["wrist_cam"][:60]
    assert "wrist_cam: began 2.00 s too late" in episode.quality().reasons


def test_stamps_that_run_backwards_are_counted():
    episode = Episode()
    frames = episode.frames["wrist_cam"]
    frames[50], frames[51] = (
        Frame(frames[51].stamp_ns, frames[50].received_ns, 50),
        Frame(frames[50].stamp_ns, frames[51].received_ns, 51),
    )
    assert "1 stamps repeat or run backwards" in only_reason(episode.quality(), "amber")


def test_cameras_that_are_apart_are_named():
    episode = Episode()
    episode.frames["third_cam"] = episode.frames["third_cam"][::4]
    quality = episode.quality()
    assert any("more than 50 ms apart" in reason for reason in quality.reasons), quality


def test_stamps_of_another_clock_are_red():
    episode = Episode()
    for frame in episode.frames["wrist_cam"]:
        frame.received_ns -= 100_000_000
    assert "0.08 s in the future" in only_reason(episode.quality(), "red")


def test_images_that_come_late_are_amber():
    episode = Episode()
    for frame in episode.frames["wrist_cam"][:-20]:
        frame.received_ns += 700_000_000
    assert any("0.72 s after its stamp" in reason for reason in episode.quality().reasons)


def test_data_that_is_stamped_faster_than_reality_is_red():
    episode = Episode()
    for frame in episode.frames["wrist_cam"]:
        frame.received_ns = round(frame.stamp_ns * 0.8) + 20_000_000
    reasons = episode.quality().reasons
    assert any("1.25 times real time" in reason for reason in reasons), reasons


def test_a_frozen_image_while_the_tool_moves_is_red():
    episode = Episode()
    for frame in episode.frames["wrist_cam"][90:120]:
        frame.fingerprint = 90
    assert "same image for 1.0 s while the tool moved" in only_reason(episode.quality(), "red")


def test_the_same_image_of_a_tool_at_rest_is_no_fault():
    episode = Episode(tool_at=lambda s: np.array([0.5, 0.1 * max(0.0, abs(s - 4) - 0.7), 0.2]))
    for frame in episode.frames["wrist_cam"][100:139]:
        frame.fingerprint = 100
    assert episode.quality().verdict == "green"


def test_an_episode_without_motion_is_red():
    episode = Episode(tool_at=lambda s: np.array([0.5, 0.0, 0.2]))
    assert only_reason(episode.quality(), "red") == "nothing moved"


@pytest.mark.parametrize(
    ("tool_at", "reason"),
    [
        (lambda s: np.array([0.5, 0.05 * max(s - 2.0, 0.0), 0.2]), "before the first motion"),
        (lambda s: np.array([0.5, 0.05 * min(s, 6.0), 0.2]), "after the last motion"),
    ],
)
def test_standing_still_at_an_end_is_amber(tool_at, reason):
    assert reason in only_reason(Episode(tool_at=tool_at).quality(), "amber")


def test_a_hand_at_full_deflection_is_amber():
    quality = Episode(twist_m_s=RIG.teleop.linear_speed_m_s).quality()
    assert "full speed 100%" in only_reason(quality, "amber")


def test_a_tool_at_the_workspace_border_is_amber():
    low = RIG.limits.workspace_min_m[2]
    quality = Episode(tool_at=lambda s: np.array([0.5, 0.05 * s, low])).quality()
    assert "workspace's border" in only_reason(quality, "amber")


def test_a_fault_is_red_with_its_text():
    quality = Episode(status={"fault": "SAFETY_STOP", "fault_text": "protective stop"}).quality()
    assert only_reason(quality, "red") == "fault SAFETY_STOP: protective stop"


def test_lost_messages_are_red_and_counted():
    assert only_reason(Episode(lost=3).quality(), "red").startswith("3 messages lost")


def test_an_episode_of_an_instant_is_red():
    assert Episode(seconds=0.5).quality().reasons[0] == "the episode lasts 0.5 s"


def test_an_empty_episode_is_judged_and_names_everything():
    quality = QualityMonitor(RIG, BEGAN_NS).quality(BEGAN_NS)
    assert quality.verdict == "red"
    assert sum("no message arrived" in reason for reason in quality.reasons) == 6


@settings(max_examples=20, deadline=None)
@given(
    jitter=st.lists(st.integers(-8_000_000, 8_000_000), min_size=240, max_size=240),
    late=st.lists(st.integers(0, 60_000_000), min_size=240, max_size=240),
    offset=st.integers(0, 33_000_000),
)
def test_an_honest_machine_is_green_whatever_its_jitter(jitter, late, offset):
    episode = Episode()
    for name, frames in episode.frames.items():
        for k, frame in enumerate(frames):
            frame.stamp_ns += jitter[k] + 8_000_000 + (offset if name == "third_cam" else 0)
            frame.received_ns = frame.stamp_ns + late[k]
        received = sorted(frame.received_ns for frame in frames)
        for frame, received_ns in zip(frames, received):
            frame.received_ns = max(received_ns, frame.stamp_ns)
    assert episode.quality().verdict == "green", episode.quality().reasons


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 239)))
def test_what_was_written_is_counted_exactly(dropped):
    episode = Episode()
    episode.frames["wrist_cam"] = [
        frame for k, frame in enumerate(episode.frames["wrist_cam"]) if k not in dropped
    ]
    quality = episode.quality()
    assert quality.received["wrist_cam"] == 240 - len(dropped)
    assert (quality.verdict == "green") <= (len(dropped) <= 0.05 * 240 + 10)
