"""`carp convert`: turns recorded episodes into a dataset to train on."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from carp_ros.cli.options import Text, Workers
from carp_ros.console.progress import Progress
from carp_ros.inference.observation import SKEW_S
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.bag_metadata import metadata_section
from carp_ros.recording.conversion import ConvertedEpisode, EpisodeFilter, convert, find_episodes
from carp_ros.recording.dataset_files import INFO
from carp_ros.recording.frames import DEFAULT_RATE_HZ
from carp_ros.recording.recorded_episode import is_foreign
from carp_ros.recording.topic_map import read_topic_map
from carp_ros.recording.topic_suggestion import suggest_topics
from carp_ros.refusal import refusing
from carp_ros.strict import Between

_Quality = Literal["green", "amber", "red"]


@dataclass(frozen=True)
class ConvertCommand:
    """Convert recorded episodes into a LeRobot v3.0 dataset.

    Frame k of an episode is the reference camera's image nearest to k / rate after the first one.
    The other cameras' images, the measured state and the commanded target are aligned to its time
    as for a live policy. The columns stamp_ns keep the true times. Stop it at any time and run the
    same command again: it resumes where it stopped, and adds episodes recorded since.

    Bags of `ros2 bag record` can be converted, too, with a topic map that describes their topics.

    Attributes:
        bags: Episodes, or folders of episodes.
        out: The dataset's folder.
        topics: The topic map, a YAML file, for bags that carp did not record; doc/dataset.md has an
            example.
        suggest_topics: Print a topic map guessed from the first bag, and convert nothing.
        rate_hz: Frames per second; at most the cameras' rate.
        image_size_px: Width and height to resize images to; default: keep their size.
        reference: The camera whose captures become the frames; empty: the rig's first.
        skew_s: The furthest that another camera's capture may be from a frame's time.
        success_only: Take only successful episodes.
        unlabelled: Also take episodes without a success label, such as those that were cut off.
        quality: Take only episodes of this recording quality or better; unjudged ones count as
            amber.
        task: Take only episodes of this task, such as cup.
        wrench: Add the measured force and torque on the tool to the state, for policies that feel.
        workers: Number of processes; 0 takes one per core.
    """

    bags: tyro.conf.Positional[tuple[Path, ...]]
    out: Path | None = None
    topics: Path | None = None
    suggest_topics: bool = False
    rate_hz: Annotated[int, Between(1, 240)] = DEFAULT_RATE_HZ
    image_size_px: Annotated[tuple[int, int], Between(16, 4096)] | None = None
    reference: Text = ""
    skew_s: Annotated[float, Between(0.0, 1.0)] = SKEW_S
    success_only: bool = False
    unlabelled: bool = False
    quality: _Quality = "amber"
    task: Text = ""
    wrench: bool = False
    workers: Workers = 0


def main(command: ConvertCommand) -> int:
    """Convert, showing progress; return 1 if an episode was refused."""
    if command.rate_hz < 1:
        raise ValueError(f"--rate-hz is {command.rate_hz}; expected at least 1")
    if not command.bags:
        raise ValueError("no episodes; name their folders: carp convert recordings --out dataset")
    folders = find_episodes(command.bags)
    if command.suggest_topics:
        print(suggestion(folders[0]), end="")
        return 0
    if command.out is None:
        raise ValueError("--out is missing; name the dataset's folder: --out datasets/cups")
    topics = read_topic_map(command.topics) if command.topics else None
    if topics and command.wrench:
        raise ValueError("--wrench is for episodes of carp record; expected none with --topics")
    workers = min(command.workers or len(os.sched_getaffinity(0)), len(folders))
    settings = FrameSettings(
        command.rate_hz,
        command.skew_s,
        command.reference,
        command.image_size_px,
        topics,
        command.wrench,
    )
    begin_s = time.monotonic()
    progress = Progress(len(folders), "episodes")
    outcomes: list[ConvertedEpisode] = []
    try:
        for outcome in convert(folders, command.out, settings, _episode_filter(command), workers):
            outcomes.append(outcome)
            refused = sum(each.status == "refused" for each in outcomes)
            progress.show(len(outcomes), f"{refused} refused" if refused else "")
    except KeyboardInterrupt:
        print("\nstopped; the same command resumes where it stopped", flush=True)
        raise
    print()
    print(summary(outcomes, command.rate_hz, time.monotonic() - begin_s))
    if (command.out / INFO).is_file():
        print(f"dataset: {command.out}")
    if topics is None:
        refused = [outcome.folder for outcome in outcomes if outcome.status == "refused"]
        for folder in itertools.islice(filter(_is_foreign, refused), 1):
            print(f"suggested map (--suggest-topics prints only this):\n{suggestion(folder)}")
    return 1 if any(outcome.status == "refused" for outcome in outcomes) else 0


def suggestion(folder: Path) -> str:
    """Return a suggested topic map.

    Raises:
        ValueError: If the bag can't be read.
    """
    with refusing(ValueError, str(folder)):
        return suggest_topics(folder)


def _is_foreign(folder: Path) -> bool:
    """Return whether a folder is a readable bag that carp did not record."""
    try:
        return is_foreign(metadata_section(folder)) and bool(suggestion(folder))
    except ValueError:  # the reason has been reported already
        return False


def summary(outcomes: Sequence[ConvertedEpisode], rate_hz: int, wall_s: float) -> str:
    """Return a table of the outcomes; episodes that were not taken are listed with the reason.

    Args:
        outcomes: At least one outcome.
        rate_hz: The dataset's rate.
        wall_s: How long the conversion took.
    """
    rows = []
    for status in ("added", "present", "unwanted", "refused"):
        of_status = [outcome for outcome in outcomes if outcome.status == status]
        frames = sum(outcome.frames for outcome in of_status)
        text = f"{frames} frames, {frames / rate_hz:.0f} s" if status == "added" else ""
        rows.append(f"{status:<9} {len(of_status):>5}   {text}".rstrip())
        if status in ("unwanted", "refused"):
            rows += [f"{'':<18}{outcome.folder}: {outcome.reason}" for outcome in of_status]
    return "\n".join([*rows, f"{wall_s:.1f} s, {wall_s / len(outcomes):.2f} s an episode"])


def _episode_filter(command: ConvertCommand) -> EpisodeFilter:
    verdicts = get_args(_Quality)[: get_args(_Quality).index(command.quality) + 1]
    unjudged = ("unknown",) if command.quality != "green" else ()
    return EpisodeFilter(
        command.success_only, (*verdicts, *unjudged), command.task, command.unlabelled
    )
