"""A recorded episode's frames, and the dataset spec that follows from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2

from carp_ros.errors import EpisodeError
from carp_ros.inference.layout import TOOL_AND_WRENCH
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.clock_watch import ClockWatch
from carp_ros.recording.dataset_spec import DatasetSpec, cameras_of, robot_of
from carp_ros.recording.frames import Frame, FrameMaker
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.message_reader import Reader
from carp_ros.recording.recorded_episode import RecordedEpisode
from carp_ros.recording.topic_map import TopicMap


@dataclass(frozen=True)
class FrameSettings:
    """The settings by which an episode's messages become frames.

    Attributes:
        rate_hz: Frames per second.
        skew_s: The furthest that an image's capture may be from its frame's time.
        reference: The camera whose capture times become the frames' times; empty: the rig's first.
        image_size_px: Width and height to resize images to; None keeps their size.
        topics: The topic map for bags that carp did not record.
        wrench: Whether the state has the measured wrench.
    """

    rate_hz: int = 10
    skew_s: float = SKEW_S
    reference: str = ""
    image_size_px: tuple[int, int] | None = None
    topics: TopicMap | None = None
    wrench: bool = False

    def __str__(self) -> str:
        """Return the settings as text that is valid in a file name."""
        size = "x".join(map(str, self.image_size_px)) if self.image_size_px else "whole"
        text = f"{self.rate_hz}hz-{self.skew_s}s-{self.reference or 'first'}-{size}"
        text += "-wrench" if self.wrench else ""
        return f"{text}-{self.topics.fingerprint}" if self.topics else text


def episode_frames(
    episode: RecordedEpisode, settings: FrameSettings
) -> tuple[DatasetSpec, Iterator[Frame]]:
    """Return the dataset spec that an episode implies, and its frames.

    Raises:
        EpisodeError: If there are no frames. Iterating raises it too, if a message is not what its
            topic promises.
        MessageError: If the files are damaged; iterating raises it too.
        ValueError: If the metadata lack the rig, or a file is missing.
    """
    info = episode.info
    robot, cameras = robot_of(info), cameras_of(info)
    reference = settings.reference or cameras[0]
    reader = episode.reader()
    maker = FrameMaker(
        robot,
        cameras,
        reference,
        settings.rate_hz,
        settings.skew_s,
        reader,
        wrench=settings.wrench,
    )
    frames = maker.frames(_stamped_messages(episode, reader, maker))
    if settings.image_size_px:
        frames = _resized(frames, settings.image_size_px)
    first = next(frames)
    sizes = {name: image.shape[1::-1] for name, image in first.observation.images.items()}
    spec = DatasetSpec(
        info.rig, robot.name, robot.joint_names, sizes, reference, settings.rate_hz, settings.skew_s
    )
    if settings.wrench:
        spec = replace(spec, state=TOOL_AND_WRENCH)
    return spec, itertools.chain([first], frames)


def _stamped_messages(
    episode: RecordedEpisode, reader: Reader, maker: FrameMaker
) -> Iterator[Message]:
    """Yield an episode's messages in order of arrival.

    The recorder judged them in this order; sorted differently, a late message could end up in
    another frame. As during recording, the clock is checked only on topics that frames are made
    of, so that a late camera_info does not fail the episode.

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
