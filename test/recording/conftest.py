import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from carp_ros.geometry import quaternion_from_rotvec, quaternion_multiply
from carp_ros.recording import messages
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, topics
from carp_ros.robots import UR5E
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


# Made-up episodes of moving images: whole ones, and easy to spoil.
MS = 1_000_000
CAMERAS = ("wrist_cam", "third_cam")
DOWN = np.array([1.0, 0.0, 0.0, 0.0])

Message = tuple[int, str, bytes]


def moving_image(time_s: float, shade: int, width_px: int, height_px: int) -> np.ndarray:
    """Return a smooth image that moves, as a video encoder likes it."""
    x, y = np.meshgrid(np.arange(width_px), np.arange(height_px))
    red = 128 + 100 * np.sin((x + 30 * time_s) / 17)
    green = 128 + 100 * np.sin((y - 20 * time_s) / 13)
    return np.stack([red, green, np.full_like(red, shade)], axis=-1).astype(np.uint8)


def tool(time_s: float) -> Pose:
    turn = quaternion_from_rotvec(np.array([0.0, 0.0, 0.3 * time_s]))
    position = np.array([0.4 + 0.05 * time_s, 0.1 * np.sin(time_s), 0.3 - 0.02 * time_s])
    return Pose(position, quaternion_multiply(turn, DOWN))


@dataclass
class Recording:
    """What a recorder wrote: messages by stamp, in the order in which they came."""

    info: EpisodeInfo
    messages: list[Message] = field(default_factory=list)
    compressed: bool = False

    def without(self, *names: str) -> "Recording":
        return replace(self, messages=[m for m in self.messages if m[1] not in names])

    def without_between(self, name: str, start_s: float, end_s: float) -> "Recording":
        span_ns = range(START_NS + round(start_s * 1e9), START_NS + round(end_s * 1e9))
        kept = [m for m in self.messages if m[1] != name or m[0] not in span_ns]
        return replace(self, messages=kept)

    def with_message(self, at_s: float, topic: str, cdr: bytes) -> "Recording":
        stamp_ns = START_NS + round(at_s * 1e9)
        kept = [m for m in self.messages if m[:2] != (stamp_ns, topic)]
        return replace(self, messages=sorted([*kept, (stamp_ns, topic, cdr)]))

    def write(self, folder: Path) -> Path:
        writer = self._written(folder)
        writer.finish(self.info)
        return folder

    def write_unfinished(self, folder: Path) -> Path:
        """Leave what a recorder leaves that was killed."""
        writer = self._written(folder)
        writer.flush()
        return folder

    def _written(self, folder: Path) -> BagWriter:
        names = topics(tuple(self.info.rig_file["cameras"]), compressed=self.compressed)
        writer = BagWriter(folder, names, self.info)
        for stamp_ns, topic, cdr in self.messages:
            writer.write(topic, stamp_ns, cdr)
        return writer


def record(
    seed: int = 0,
    seconds: float = 2.0,
    size_px: tuple[int, int] = (64, 48),
    jitter_ns: int = 2 * MS,
    compressed: bool = False,
    **info,
) -> Recording:
    rng = np.random.default_rng(seed)
    cameras = {name: {"width_px": size_px[0], "height_px": size_px[1]} for name in CAMERAS}
    known = EpisodeInfo(
        **{
            "rig": "ur5e_test",
            "task": "cup",
            "instruction": "Put the cup on the right.",
            "operator": "demonstrator",
            "seed": seed,
            "software": "0.1.0",
            "started_ns": START_NS + seed,
            "success": True,
            "verdict": "green",
            "rig_file": {"robot": "ur5e", "cameras": cameras},
            **info,
        }
    )
    recording = Recording(known, compressed=compressed)
    add = recording.messages.append
    for ms in range(0, round(seconds * 1000), 10):
        stamp_ns, s = START_NS + ms * MS, ms / 1000
        joints = np.arange(6) * 0.1 + 0.2 * s
        cdr = messages.encode_joints(UR5E.joint_names, joints, joints * 0, stamp_ns, "base_link")
        add((stamp_ns, "/joint_states", cdr))
        for topic, time_s in (("/tool_pose", s), ("/target_pose", s + 0.05)):
            add((stamp_ns, topic, messages.encode_pose(tool(time_s), stamp_ns, "base_link")))
        add((stamp_ns, "/wrench", messages.encode_wrench(np.arange(6.0) * s, stamp_ns)))
        if ms % 40 == 0:
            add((stamp_ns, "/gripper_state", messages.encode_number(s / seconds)))
            add((stamp_ns, "/gripper_command", messages.encode_number(float(s > 1.0))))
    for index in range(round(seconds * 30)):
        for camera, shade in zip(CAMERAS, (60, 180)):
            jitter = int(rng.integers(-jitter_ns, jitter_ns + 1))
            stamp_ns = START_NS + max(0, round(index * 1e9 / 30) + jitter)
            image = moving_image((stamp_ns - START_NS) * 1e-9, shade, *size_px)
            if compressed:
                cdr = messages.encode_jpeg(image, stamp_ns, f"{camera}_optical_frame")
                add((stamp_ns, f"/{camera}/image_raw/compressed", cdr))
            else:
                cdr = messages.encode_image(image, stamp_ns, f"{camera}_optical_frame")
                add((stamp_ns, f"/{camera}/image_raw", cdr))
    recording.messages.sort()
    return recording


@pytest.fixture(scope="session")
def make_recording() -> Callable[..., Recording]:
    return record
