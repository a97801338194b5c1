"""Recordings whose truth is a formula: what a row or an image must say follows from its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from carp_ros.recording import messages
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, Topic, topics
from carp_ros.robots import UR5E
from carp_ros.share import share_folder
from carp_ros.types import Pose

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
CAMERAS = ("wrist_cam", "third_cam")
SIZE_PX = (64, 48)
RATE_HZ = 10
LEAD_S = 0.05
"""By how much the target is ahead of the tool."""

_CLOSE_S = 1.0
_BLOCK_PX = 16
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sent:
    """One message: when it was recorded, on which topic, and its bytes."""

    stamp_ns: int
    topic: str
    cdr: bytes


@dataclass(frozen=True)
class Recording:
    """An episode in memory.

    Attributes:
        info: What is known of it.
        sent: Its messages, in order.
        compressed: Whether its images are JPEG.
        types: Of topics whose type is another than it should be, or that there should not be.
    """

    info: EpisodeInfo
    sent: tuple[Sent, ...]
    compressed: bool
    types: dict[str, str] = field(default_factory=dict)

    def with_sent(self, sent: Sequence[Sent]) -> Recording:
        """Return it with other messages."""
        return replace(self, sent=tuple(sent))

    def write(self, folder: Path, *, finished: bool = True) -> None:
        """Write it as the recorder does."""
        used = {message.topic for message in self.sent}
        known = topics(CAMERAS, compressed=self.compressed)
        names = {topic.name: topic for topic in known if topic.name in used}
        names |= {name: Topic(name, kind) for name, kind in self.types.items()}
        writer = BagWriter(folder, tuple(names.values()), self.info)
        for message in self.sent:
            writer.write(message.topic, message.stamp_ns, message.cdr)
        if finished:
            writer.finish(self.info)
        else:
            writer.flush()


def record(number: int, *, seconds: float = 2.0, compressed: bool = False) -> Recording:
    """Return a recording.

    Args:
        number: Of the episode; where the tool is depends on it.
        seconds: Its length, at most 2.
        compressed: Whether its images are JPEG.
    """
    start_ns = start_of(number)
    rig = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text())
    for camera in rig["cameras"].values():
        camera |= {"width_px": SIZE_PX[0], "height_px": SIZE_PX[1]}
    info = EpisodeInfo(
        rig="ur5e_sim",
        task="cup",
        instruction="put the cup on the field",
        operator="someone",
        seed=number,
        software="0.1.0",
        started_ns=start_ns,
        success=True,
        verdict="green",
        rig_file=rig,
    )
    sent: list[Sent] = []

    def add(stamp_ns: int, topic: str, cdr: bytes) -> None:
        sent.append(Sent(stamp_ns, topic, cdr))

    base = UR5E.base_frame
    for ms in range(0, round(seconds * 1000), 10):
        stamp_ns, s = start_ns + ms * MS, ms / 1000
        joints = joints_at(number, s)
        speeds = np.full(6, 0.2)
        cdr = messages.encode_joints(UR5E.joint_names, joints, speeds, stamp_ns, base)
        add(stamp_ns, "/joint_states", cdr)
        for topic, time_s in (("/tool_pose", s), ("/target_pose", s + LEAD_S)):
            pose = Pose(position_at(number, time_s), quaternion_at(time_s))
            add(stamp_ns, topic, messages.encode_pose(pose, stamp_ns, base))
        if ms % 40 == 0:
            add(stamp_ns, "/gripper_state", messages.encode_number(s / seconds))
            add(stamp_ns, "/gripper_command", messages.encode_number(float(s > _CLOSE_S)))
    chance = np.random.default_rng(number)
    for index in range(round(seconds * 30)):
        for camera in CAMERAS:
            ms = max(0, round(index * 1000 / 30) + int(chance.integers(-2, 3)))
            stamp_ns = start_ns + ms * MS
            image = image_of(camera, ms)
            frame = f"{camera}_optical_frame"
            if compressed:
                cdr = messages.encode_jpeg(image, stamp_ns, frame)
                add(stamp_ns, f"/{camera}/image_raw/compressed", cdr)
            else:
                add(
                    stamp_ns,
                    f"/{camera}/image_raw",
                    messages.encode_image(image, stamp_ns, frame),
                )
    sent.sort(key=lambda message: (message.stamp_ns, message.topic))
    return Recording(info, tuple(sent), compressed)


def start_of(number: int) -> int:
    """Return when an episode begins, in [ns]."""
    return START_NS + number * 60_000 * MS


def position_at(number: int, s: float) -> Array:
    """Return where the tool is, in [m]."""
    return np.array([0.4 + 0.01 * number, -0.1 + 0.1 * s, 0.2])


def quaternion_at(s: float) -> Array:
    """Return how the tool is turned: downwards, and slowly about the vertical."""
    half = 0.05 * s
    return np.array([np.cos(half), np.sin(half), 0.0, 0.0])


def joints_at(number: int, s: float) -> Array:
    """Return the joints, in [rad]."""
    return np.arange(6, dtype=np.float64) * 0.1 + (0.2 * s + 0.01 * number)


def row_at(number: int, s: float, seconds: float = 2.0) -> tuple[Array, Array, Array]:
    """Return state, action and joints that belong to a time; a gripper of NaN may be anything."""
    closing = abs(s - _CLOSE_S) < 0.05
    command = np.nan if closing else float(s > _CLOSE_S)
    state = np.array([*position_at(number, s), *_rot6d(s), s / seconds])
    action = np.array([*position_at(number, s + LEAD_S), *_rot6d(s + LEAD_S), command])
    return state, action, joints_at(number, s)


def _rot6d(s: float) -> list[float]:
    """Return the first two columns of the rotation."""
    x, y, z, w = quaternion_at(s)
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]
    second = [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]
    return [*first, *second]


def image_of(camera: str, ms: int) -> npt.NDArray[np.uint8]:
    """Return an image that says in twelve blocks whose it is and when it was taken."""
    number = ms + 2048 * CAMERAS.index(camera)
    bits = [(number >> bit) & 1 for bit in range(12)]
    blocks = np.where(np.array(bits).reshape(3, 4), 210, 45).astype(np.uint8)
    grey = np.kron(blocks, np.ones((_BLOCK_PX, _BLOCK_PX), np.uint8))
    return np.repeat(grey[:, :, None], 3, axis=2)


def said_by(image: npt.NDArray[Any]) -> tuple[str, int]:
    """Return whose image it is and when it was taken, in [ms] after the begin."""
    grey = cv2.resize(np.asarray(image, np.uint8), SIZE_PX, interpolation=cv2.INTER_AREA)
    grey = grey.astype(float).mean(axis=2)
    edge = _BLOCK_PX // 4
    number = 0
    for bit in range(12):
        top, left = (bit // 4) * _BLOCK_PX, (bit % 4) * _BLOCK_PX
        block = grey[top + edge : top + _BLOCK_PX - edge, left + edge : left + _BLOCK_PX - edge]
        number |= int(block.mean() > 128) << bit
    return CAMERAS[number >> 11], number & 2047
