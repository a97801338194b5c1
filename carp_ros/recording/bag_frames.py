"""A recorded episode's frames, and what they bring to a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2

from carp_ros.errors import EpisodeError
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.clock_watch import ClockWatch
from carp_ros.recording.dataset_spec import DatasetSpec, cameras_of, robot_of
from carp_ros.recording.frames import Frame, FrameMaker
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.message_reader import Reader
from carp_ros.recording.recorded_episode import RecordedEpisode
from carp_ros.recording.topic_map import TopicMap


@dataclass(frozen=True)
class Way:
    """How frames are made of an episode.

    Attributes:
        rate_hz: Frames per second.
        skew_s: How far from a frame's time an image may have been captured.
        reference: The camera whose capture times are the frames'; empty: the rig's first.
        image_size_px: Width and height to resize images to; None keeps them as they are.
        topics: What the topics mean of bags that carp did not record.
    """

    rate_hz: int = 10
    skew_s: float = SKEW_S
    reference: str = ""
    image_size_px: tuple[int, int] | None = None
    topics: TopicMap | None = None

    def __str__(self) -> str:
        """Return it in letters that a file's name may have."""
        size = "x".join(map(str, self.image_size_px)) if self.image_size_px else "whole"
        way = f"{self.rate_hz}hz-{self.skew_s}s-{self.reference or 'first'}-{size}"
        return f"{way}-{self.topics.fingerprint}" if self.topics else way


def episode_frames(episode: RecordedEpisode, way: Way) -> tuple[DatasetSpec, Iterator[Frame]]:
    """Return what an episode brings to a dataset, and its frames.

    Raises:
        EpisodeError: If it has no frames; so may the iteration, if it is not what was promised.
        MessageError: Likewise, if its files are damaged.
        ValueError: If its metadata lack the rig, or a file is missing.
    """
    info = episode.info
    robot, cameras = robot_of(info), cameras_of(info)
    reference = way.reference or cameras[0]
    reader = episode.reader()
    maker = FrameMaker(robot, cameras, reference, way.rate_hz, way.skew_s, reader)
    frames = maker.frames(_stamped_messages(episode, reader, maker))
    if way.image_size_px:
        frames = _resized(frames, way.image_size_px)
    first = next(frames)
    sizes = {name: image.shape[1::-1] for name, image in first.observation.images.items()}
    spec = DatasetSpec(
        info.rig, robot.name, robot.joint_names, sizes, reference, way.rate_hz, way.skew_s
    )
    return spec, itertools.chain([first], frames)


def _stamped_messages(
    episode: RecordedEpisode, reader: Reader, maker: FrameMaker
) -> Iterator[Message]:
    """Yield an episode's messages in the order in which they arrived.

    So they were judged; in another order a late message would be another frame's. Of the clock
    only those are asked that frames are made of, as while it was recorded: a camera's parameters
    that come late cost no frame its place.

    Raises:
        EpisodeError: If a clock was set back.
    """
    clock = ClockWatch()
    for chunk in episode.messages():
        stamped = [message for message in map(reader.stamped, chunk) if message is not None]
        for topic, stamp_ns, _ in stamped:
            if topic in maker:
                clock.take(topic, stamp_ns)
        if clock.problem:
            raise EpisodeError(clock.problem)
        yield from stamped


def _resized(frames: Iterator[Frame], size_px: tuple[int, int]) -> Iterator[Frame]:
    for frame in frames:
        images = {
            camera: cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
            for camera, image in frame.observation.images.items()
        }
        yield replace(frame, observation=replace(frame.observation, images=images))
