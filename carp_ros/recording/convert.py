"""Recorded episodes into a dataset: which are taken, and why others are not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import yaml

from carp_ros.errors import CarpError, DeviceError, EpisodeError
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.bag import METADATA, UNFINISHED, mcap_file, read_info, read_messages
from carp_ros.recording.dataset import Dataset
from carp_ros.recording.dataset_spec import DatasetSpec, cameras_of, robot_of
from carp_ros.recording.episode import EpisodeInfo, Verdict
from carp_ros.recording.frames import Frame, FrameMaker
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.pieces import Piece


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


@dataclass(frozen=True)
class Wanted:
    """Which episodes a dataset takes.

    Attributes:
        success_only: Only those that were done.
        verdicts: Of which recording quality.
        task: Only those of this task; empty: of any.
    """

    success_only: bool = False
    verdicts: tuple[Verdict, ...] = ("green", "amber", "unknown")
    task: str = ""

    def reason_against(self, info: EpisodeInfo) -> str:
        """Return why an episode is not wanted, if so."""
        if self.success_only and not info.success:
            return "no success" if info.success is False else "success not known"
        if info.verdict not in self.verdicts:
            return f"quality {info.verdict}"
        if self.task and info.task != self.task:
            return f"task {info.task}"
        return ""


@dataclass(frozen=True)
class Outcome:
    """What became of one episode.

    Attributes:
        folder: Of the episode.
        status: `added`; `present`, the dataset had it; `unwanted`; or `refused`, not usable.
        frames: That it brought.
        reason: Why not, if so.
    """

    folder: Path
    status: Literal["added", "present", "unwanted", "refused"]
    frames: int = 0
    reason: str = ""


def find_episodes(paths: Sequence[Path]) -> list[Path]:
    """Return episodes: each path is one, or a folder of some, which come in order of their names.

    Raises:
        ValueError: If a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        episodes = [path] if _is_episode(path) else [p for p in inside if _is_episode(p)]
        if not episodes:
            raise ValueError(f"{path} is no episode and holds none; expected folders of recordings")
        found += episodes
    return list(dict.fromkeys(found))


def convert(folders: Sequence[Path], root: Path, way: Way, wanted: Wanted) -> Iterator[Outcome]:
    """Convert episodes into a dataset and yield what becomes of each, in their order.

    The dataset is complete once the last was yielded and the iteration has ended.

    Raises:
        ValueError: If the dataset's folder holds something else, or another process converts.
        DeviceError: If the disk does not take it.
    """
    dataset = Dataset(root, str(way))
    pieces: list[Piece] = []
    try:
        for folder in folders:
            try:
                outcome, piece = _convert_one(folder, dataset, way, wanted)
            except (CarpError, ValueError) as error:
                yield Outcome(folder, "refused", reason=str(error))
                continue
            if piece and any(piece.folder == other.folder for other in pieces):
                outcome = Outcome(folder, "present")  # the same episode, copied to another folder
            elif piece:
                pieces.append(piece)
            yield outcome
        dataset.commit(pieces)
    except OSError as error:
        raise DeviceError(
            f"cannot write {root}: {error.strerror or error}; make room or repair the disk, then"
            " run the same command again: it goes on where it stopped"
        ) from error
    finally:
        dataset.close()


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
    frames = maker.frames(_promised_messages(folder))
    if way.image_size_px:
        frames = _resized(frames, way.image_size_px)
    first = next(frames)
    sizes = {name: image.shape[1::-1] for name, image in first.observation.images.items()}
    spec = DatasetSpec(
        info.rig, robot.name, robot.joint_names, sizes, reference, way.rate_hz, way.skew_s
    )
    return spec, _of_one_size(itertools.chain([first], frames), sizes)


def _convert_one(
    folder: Path, dataset: Dataset, way: Way, wanted: Wanted
) -> tuple[Outcome, Piece | None]:
    info = read_info(folder)
    reason = wanted.reason_against(info)
    if reason:
        return Outcome(folder, "unwanted", reason=reason), None
    if (folder.name, info.started_ns) in dataset.sources:
        return Outcome(folder, "present"), None
    if (folder / UNFINISHED).exists():
        raise EpisodeError(f"was not finished; `carp recover {folder}` completes it")
    piece = dataset.piece_of(folder.name, info)
    if piece is None:
        spec, frames = episode_frames(folder, info, way)
        piece = dataset.add(folder.name, info, spec, frames)
    return Outcome(folder, "added", piece.length), piece


def _promised_messages(folder: Path) -> Iterator[Message]:
    """Yield an episode's messages, and complain at the end if there were more once."""
    metadata = yaml.safe_load((folder / METADATA).read_text())
    promised = metadata["rosbag2_bagfile_information"]["message_count"]
    count = 0
    for message in read_messages(folder):
        count += 1
        yield message
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


def _of_one_size(frames: Iterator[Frame], sizes: dict[str, tuple[int, int]]) -> Iterator[Frame]:
    for frame in frames:
        for camera, image in frame.observation.images.items():
            if image.shape[1::-1] != sizes[camera]:
                raise EpisodeError(
                    f"/{camera} changes its size from {sizes[camera]} to {image.shape[1::-1]} px;"
                    " expected one size"
                )
        yield frame


def _is_episode(path: Path) -> bool:
    return (path / METADATA).is_file() or (path / UNFINISHED).is_file()
