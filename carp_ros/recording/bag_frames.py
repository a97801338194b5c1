"""A finished bag's frames, and what they bring to a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from carp_ros.errors import EpisodeError
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.bag import mcap_file, read_count
from carp_ros.recording.clock_watch import ClockWatch
from carp_ros.recording.dataset_spec import DatasetSpec, cameras_of, robot_of
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.frames import Frame, FrameMaker
from carp_ros.recording.mcap_scan import McapScan, Message


@dataclass(frozen=True)
class Way:
    """How frames are made of an episode.

    Attributes:
        rate_hz: Frames per second.
        skew_s: How far from a frame's time an image may have been captured.
        reference: The camera whose capture times are the frames'; empty: the rig's first.
        image_size_px: Width and height to resize images to; None keeps them as they are.
    """

    rate_hz: int = 10
    skew_s: float = SKEW_S
    reference: str = ""
    image_size_px: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Return it in letters that a file's name may have."""
        size = "x".join(map(str, self.image_size_px)) if self.image_size_px else "whole"
        return f"{self.rate_hz}hz-{self.skew_s}s-{self.reference or 'first'}-{size}"


def episode_frames(
    folder: Path, info: EpisodeInfo, way: Way
) -> tuple[DatasetSpec, Iterator[Frame]]:
    """Return what a finished episode brings to a dataset, and its frames.

    Raises:
        EpisodeError: If it has no frames; so may the iteration, if it is not what was promised.
        ValueError: If its metadata lacks the rig.
    """
    robot, cameras = robot_of(info), cameras_of(info)
    reference = way.reference or cameras[0]
    maker = FrameMaker(robot, cameras, reference, way.rate_hz, way.skew_s)
    frames = maker.frames(_promised_messages(folder, maker))
    if way.image_size_px:
        frames = _resized(frames, way.image_size_px)
    first = next(frames)
    sizes = {name: image.shape[1::-1] for name, image in first.observation.images.items()}
    spec = DatasetSpec(
        info.rig, robot.name, robot.joint_names, sizes, reference, way.rate_hz, way.skew_s
    )
    return spec, itertools.chain([first], frames)


def _promised_messages(folder: Path, maker: FrameMaker) -> Iterator[Message]:
    """Yield an episode's messages as they arrived, and complain at the end if there were more once.

    So they were judged; in another order a late message would be another frame's.
    Of the clock only those are asked that frames are made of, as while it was recorded: a camera's
    parameters that come late cost no frame its place.
    """
    promised = read_count(folder)
    count = 0
    clock = ClockWatch()
    for chunk in McapScan(mcap_file(folder)).chunks(as_arrived=True):
        for topic, stamp_ns, _ in chunk:
            if topic in maker:
                clock.take(topic, stamp_ns)
        if clock.problem:
            raise EpisodeError(clock.problem)
        count += len(chunk)
        yield from chunk
    if count < promised:
        raise EpisodeError(
            f"{mcap_file(folder).name} is cut off after {count} of {promised} messages;"
            f" `carp recover {folder}` makes an episode of what is left"
        )


def _resized(frames: Iterator[Frame], size_px: tuple[int, int]) -> Iterator[Frame]:
    for frame in frames:
        images = {
            camera: cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
            for camera, image in frame.observation.images.items()
        }
        yield replace(frame, observation=replace(frame.observation, images=images))
