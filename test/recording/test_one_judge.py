"""What the recorder calls usable is what a dataset takes, whatever befell the messages."""

import dataclasses
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from carp_ros.recording import messages
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert
from carp_ros.recording.live_episode import LiveEpisode, sources
from carp_ros.rig import load_rig
from carp_ros.share import share_folder
from carp_ros.types import Intrinsics, Pose, Twist

from .conftest import INFO, MS, START_NS

_PATH = share_folder() / "config" / "ur5e_sim.yaml"
RIG = load_rig(_PATH)
RIG_FILE = yaml.safe_load(_PATH.read_text(encoding="utf-8"))
BASE = RIG.robot.base_frame
KINDS = {topic.name: topic.type for topic in sources(RIG)}
SECONDS = 2.2


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A message: when it came, on which topic, and its bytes."""

    received_ns: int
    topic: str
    cdr: bytes


def healthy():
    """Return what arrives of a healthy rig, in order."""
    rng = np.random.default_rng(0)
    found = []
    for tick in range(round(SECONDS * 30)):
        at_ns = START_NS + round(tick * 1e9 / 30)
        for camera in RIG.cameras:
            frame = f"{camera}_optical_frame"
            image = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            info = messages.encode_camera_info(Intrinsics(16, 12, np.eye(3), frame), at_ns)
            cdr = messages.encode_image(image, at_ns, frame)
            found.append(Arrival(at_ns + 20 * MS, f"/{camera}/image_raw", cdr))
            found.append(Arrival(at_ns + 20 * MS, f"/{camera}/camera_info", info))
    for tick in range(round(SECONDS * 100)):
        at_ns = START_NS + tick * 10 * MS
        pose = Pose(np.array([0.5, 1e-3 * tick, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]))
        joints = np.array(RIG.home_joints_rad)
        twist = Twist(np.array([0.1, 0, 0]), np.zeros(3))
        names = RIG.robot.joint_names
        for topic, cdr in (
            ("/tool_pose", messages.encode_pose(pose, at_ns, BASE)),
            ("/target_pose", messages.encode_pose(pose, at_ns, BASE)),
            ("/joint_states", messages.encode_joints(names, joints, 0 * joints, at_ns, BASE)),
            ("/teleop/twist", messages.encode_twist(twist, at_ns, BASE)),
            ("/gripper_state", messages.encode_number(0.0)),
            ("/gripper_command", messages.encode_number(0.0)),
            ("/control/status", messages.encode_text('{"fault": "NONE"}')),
        ):
            found.append(Arrival(at_ns + MS, topic, cdr))
    return sorted(found, key=lambda arrival: arrival.received_ns)


HEALTHY = healthy()
TOPICS = sorted({arrival.topic for arrival in HEALTHY})


@dataclasses.dataclass(frozen=True)
class Spoilt:
    """What befalls `count` messages of a topic from the `first` (a share of them) on."""

    topic: str
    act: str
    by_ms: int = 0
    first: float = 0.0
    count: int = 1

    def of(self, arrivals):
        """Return the messages as they then arrive."""
        mine = [i for i, arrival in enumerate(arrivals) if arrival.topic == self.topic]
        begin = int(self.first * len(mine))
        part = set(mine[begin : begin + self.count])
        found = []
        for place, arrival in enumerate(arrivals):
            found += self._spoilt(arrival) if place in part else [arrival]
        return sorted(found, key=lambda arrival: arrival.received_ns)

    def _spoilt(self, arrival):
        if self.act == "lost":
            return []
        if self.act == "twice":
            return [arrival, arrival]
        if self.act == "late":
            later_ns = arrival.received_ns + abs(self.by_ms) * MS
            return [dataclasses.replace(arrival, received_ns=later_ns)]
        cdr = arrival.cdr[:-3] if self.act == "cut" else arrival.cdr + b"\0\0\0\0"
        if self.act == "stamped":
            stamp_ns = messages.stamp_ns(KINDS[self.topic], arrival.cdr)
            if stamp_ns is None:
                return [arrival]
            seconds, rest_ns = divmod(stamp_ns + self.by_ms * MS, 10**9)
            cdr = arrival.cdr[:4] + struct.pack("<iI", seconds, rest_ns) + arrival.cdr[12:]
        return [dataclasses.replace(arrival, cdr=cdr)]


spoilt = st.builds(
    Spoilt,
    st.sampled_from(TOPICS),
    st.sampled_from(["lost", "twice", "late", "stamped", "cut", "longer"]),
    st.sampled_from([-3000, -400, -150, -99, -20, -1, 1, 30, 150, 400, 3000]),
    st.sampled_from([0.0, 0.3, 0.6, 0.95]),
    st.sampled_from([1, 2, 3, 20, 1000]),
)


def judged_and_converted(folder, arrivals, images):
    """Return the recorder's verdict with its reasons, and what came of the conversion."""
    info = dataclasses.replace(INFO, rig_file=RIG_FILE, success=True)
    episode = LiveEpisode(folder / "episode", RIG, info, images)
    for arrival in arrivals:
        episode.write(arrival.topic, arrival.received_ns, arrival.cdr)
    quality = episode.finish(START_NS + round(SECONDS * 1e9))
    any_verdict = EpisodeFilter(verdicts=("green", "amber", "red", "unknown"))
    (outcome,) = convert([folder / "episode"], folder / "dataset", FrameSettings(), any_verdict)
    return quality, outcome


def test_a_healthy_episode_is_green_and_taken(tmp_path):
    quality, outcome = judged_and_converted(tmp_path, HEALTHY, "raw")
    assert (quality.verdict, quality.reasons, outcome.status) == ("green", (), "added")


# an example takes half a second: one that fails is told as it was found
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(spoilt, min_size=1, max_size=2), st.sampled_from(["raw", "jpeg"]))
@example([Spoilt("/wrist_cam/camera_info", "stamped", -400, 0.3, 1000)], "raw")
@example([Spoilt("/teleop/twist", "late", 3000, 0.0, 20)], "jpeg")
@example([Spoilt("/tool_pose", "stamped", -400, 0.6, 1000)], "raw")
@example([Spoilt("/joint_states", "late", 400, 0.3, 1)], "raw")
def test_what_is_not_red_is_taken_and_what_no_dataset_takes_is_refused(spoils, images):
    arrivals = HEALTHY
    for spoil in spoils:
        arrivals = spoil.of(arrivals)
    with tempfile.TemporaryDirectory() as folder:
        quality, outcome = judged_and_converted(Path(folder), arrivals, images)
    if quality.verdict != "red":
        assert outcome.status == "added", outcome.reason
    if any("no dataset would take it" in reason for reason in quality.reasons):
        assert outcome.status == "refused"


@pytest.mark.parametrize("topic", ["/wrist_cam/camera_info", "/teleop/twist"])
def test_a_clock_of_what_no_frame_is_made_of_costs_no_episode(tmp_path, topic):
    arrivals = Spoilt(topic, "stamped", -400, 0.3, 1000).of(HEALTHY)
    _, outcome = judged_and_converted(tmp_path, arrivals, "jpeg")
    assert outcome.status == "added", outcome.reason
