import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from carp_ros.recording import messages
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, topics
from carp_ros.types import Pose

START_NS = 1_700_000_000_000_000_000
TOPICS = topics(("wrist_cam", "third_cam"), compressed=True)
INFO = EpisodeInfo(
    rig="ur5e_sim",
    task="cup",
    instruction="put the cup on the green field on the right",
    operator="no",  # YAML 1.1 would read a truth value
    seed=7,
    software="0.2.0",
    started_ns=START_NS,
    rig_file={"limits": {"max_linear_speed_m_s": 0.25, "workspace_min_m": [0.2, -0.45, 0.015]}},
)

Content = Sequence[tuple[str, int, bytes]]


@pytest.fixture(scope="session")
def info() -> EpisodeInfo:
    """What is known of an episode that begins."""
    return INFO


@pytest.fixture(scope="session")
def content() -> Content:
    """Four seconds of two small cameras and a tool pose, each message different."""
    rng = np.random.default_rng(0)
    found = []
    for tick in range(120):
        stamp_ns = START_NS + round(tick * 1e9 / 30)
        for camera in ("wrist_cam", "third_cam"):
            image = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            jpeg = messages.encode_jpeg(image, stamp_ns, f"{camera}_optical_frame")
            found.append((f"/{camera}/image_raw/compressed", stamp_ns, jpeg))
        pose = Pose(rng.normal(size=3), np.array([0.0, 0.0, 0.0, 1.0]))
        found.append(("/tool_pose", stamp_ns, messages.encode_pose(pose, stamp_ns, "base")))
    return found


@pytest.fixture(scope="session")
def begin() -> Callable[[Path], BagWriter]:
    """Return the writer of a new episode."""
    return lambda folder: BagWriter(folder, TOPICS, INFO)


@pytest.fixture(scope="session")
def write_episode(begin, content) -> Callable[[Path], EpisodeInfo]:
    """Write a finished episode, flushed once a second; return what it says of itself."""

    def write(folder: Path) -> EpisodeInfo:
        writer = begin(folder)
        for count, message in enumerate(content):
            writer.write(*message)
            if count % 90 == 89:
                writer.flush()
        final = dataclasses.replace(INFO, success=True, verdict="amber", reasons=("gap: 0.2 s",))
        writer.finish(final)
        return final

    return write
