"""Converts recorded episodes into a dataset: selects them, and reports why others are left out."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from carp_ros.errors import DeviceError, EpisodeError
from carp_ros.processes.parent import end_worker_with_parent
from carp_ros.recording.bag import UNFINISHED
from carp_ros.recording.bag_frames import FrameSettings, episode_frames
from carp_ros.recording.bag_metadata import METADATA
from carp_ros.recording.dataset import Dataset
from carp_ros.recording.episode import EpisodeInfo, Verdict
from carp_ros.recording.mcap_scan import PACKED
from carp_ros.recording.pieces import Piece, write_piece
from carp_ros.recording.recorded_episode import RecordedEpisode, open_episode
from carp_ros.refusal import refusing

_NOT_WHY = "this episode"
_STORED = (".mcap", ".db3", f".mcap{PACKED}", f".db3{PACKED}")


@dataclass(frozen=True)
class EpisodeFilter:
    """Filters that select the episodes to convert.

    Attributes:
        success_only: Only episodes that succeeded.
        verdicts: The accepted verdicts on recording quality.
        task: Only episodes of this task; empty: any task.
        unlabelled: Also episodes without a success label.
    """

    success_only: bool = False
    verdicts: tuple[Verdict, ...] = ("green", "amber", "unknown")
    task: str = ""
    unlabelled: bool = False

    def reason_to_skip(self, info: EpisodeInfo) -> str:
        """Return why an episode is filtered out; empty if it is not."""
        if self.success_only and not info.success:
            return "no success" if info.success is False else "success not known"
        if info.success is None and not self.unlabelled:
            return "no label, perhaps because it was cut off: --unlabelled takes it"
        if info.verdict not in self.verdicts:
            return f"quality {info.verdict}"
        if self.task and info.task != self.task:
            return f"task {info.task}"
        return ""


@dataclass(frozen=True)
class ConvertedEpisode:
    """The outcome of converting one episode.

    Attributes:
        folder: The episode's folder.
        status: `added`; `present`: already in the dataset; `unwanted`: filtered out; or `refused`:
            not usable.
        frames: The number of frames added.
        reason: Why it was not added; empty if it was.
    """

    folder: Path
    status: Literal["added", "present", "unwanted", "refused"]
    frames: int = 0
    reason: str = ""


def find_episodes(paths: Sequence[Path]) -> list[Path]:
    """Return the episode folders: each path is an episode, or a folder of them, sorted by name.

    Raises:
        ValueError: If a path is neither.
    """
    found: list[Path] = []
    for path in paths:
        with refusing(ValueError, str(path)):
            inside = sorted(path.iterdir()) if path.is_dir() else []
        episodes = [path] if _is_episode(path) else [p for p in inside if _is_episode(p)]
        if not episodes:
            raise ValueError(f"{path} is no episode and holds none; expected folders of recordings")
        found += episodes
    return list(dict.fromkeys(found))


def convert(
    folders: Sequence[Path],
    root: Path,
    settings: FrameSettings,
    episode_filter: EpisodeFilter,
    workers: int = 1,
) -> Iterator[ConvertedEpisode]:
    """Convert episodes into a dataset and yield the outcome of each, in their order.

    The dataset is complete only once the iterator is exhausted.

    Args:
        folders: The episodes' folders.
        root: The dataset's folder.
        settings: How frames are made.
        episode_filter: Which episodes are converted.
        workers: Number of processes; 1 converts in the calling process.

    Raises:
        ValueError: If the dataset's folder holds something else, or another process is converting
            into it.
        DeviceError: If the disk refuses a write.
    """
    with _writing(root):
        dataset = Dataset(root, str(settings))
        try:
            with _mapper(workers) as each:
                yield from _converted(
                    _jobs(folders, dataset, settings, episode_filter), dataset, settings, each
                )
        finally:
            dataset.close()


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "make room or repair the disk"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "name a folder that you may write, or change its permissions"
        raise DeviceError(
            f"cannot write {root}: {error.strerror or error}; {remedy}, then run the same command"
            " again: it resumes where it stopped"
        ) from error


@dataclass(frozen=True)
class _Job:
    """An episode to convert into a piece, or the outcome of one that needs no conversion."""

    folder: Path
    episode: RecordedEpisode | None = None
    piece: Path = Path()
    outcome: ConvertedEpisode | None = None


def _jobs(
    folders: Sequence[Path],
    dataset: Dataset,
    settings: FrameSettings,
    episode_filter: EpisodeFilter,
) -> list[_Job]:
    jobs: list[_Job] = []
    for folder in folders:
        try:
            with refusing(EpisodeError, _NOT_WHY):
                job = _job(folder, dataset, settings, episode_filter)
        except EpisodeError as error:
            job = _Job(folder, outcome=ConvertedEpisode(folder, "refused", reason=_why(error)))
        if job.outcome is None and any(job.piece == other.piece for other in jobs):
            # a copy of the same episode in another folder
            job = _Job(folder, outcome=ConvertedEpisode(folder, "present"))
        jobs.append(job)
    return jobs


def _job(
    folder: Path, dataset: Dataset, settings: FrameSettings, episode_filter: EpisodeFilter
) -> _Job:
    episode = open_episode(folder, settings.topics)
    info = episode.info
    reason = episode_filter.reason_to_skip(info)
    if reason:
        return _Job(folder, outcome=ConvertedEpisode(folder, "unwanted", reason=reason))
    if (folder.name, info.started_ns) in dataset.sources:
        return _Job(folder, outcome=ConvertedEpisode(folder, "present"))
    episode.reader()  # fails early if the map names topics that the bag lacks
    return _Job(folder, episode, dataset.piece_folder(folder.name, info))


def _converted(
    jobs: Sequence[_Job],
    dataset: Dataset,
    settings: FrameSettings,
    each: Callable[..., Iterator[str]],
) -> Iterator[ConvertedEpisode]:
    """Yield the outcomes, then commit the pieces to the dataset."""
    pieces: list[Piece] = []
    reasons = each(partial(_make_piece, settings), [job for job in jobs if job.outcome is None])
    for job in jobs:
        if job.outcome:
            yield job.outcome
            continue
        reason = next(reasons)
        if not reason:
            try:
                with refusing(EpisodeError, _NOT_WHY):
                    pieces.append(dataset.take(job.piece))
            except EpisodeError as error:
                reason = _why(error)
        if reason:
            yield ConvertedEpisode(job.folder, "refused", reason=reason)
        else:
            yield ConvertedEpisode(job.folder, "added", pieces[-1].length)
    dataset.commit(pieces)


def _make_piece(settings: FrameSettings, job: _Job) -> str:
    """Convert an episode unless an earlier run did; return why it failed, else an empty string."""
    if job.episode is None or job.piece.is_dir():
        return ""
    try:
        with refusing(EpisodeError, _NOT_WHY):
            spec, frames = episode_frames(job.episode, settings)
            write_piece(job.piece, spec, job.folder.name, job.episode.info, frames)
    except EpisodeError as error:
        return _why(error)
    return ""


def _why(error: EpisodeError) -> str:
    """Return the reason without its prefix; the outcome names the folder itself."""
    return str(error).removeprefix(f"{_NOT_WHY}: ")


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` that runs in `workers` processes and keeps the order."""
    if workers == 1:
        yield map
        return
    # spawned, not forked: a video encoder's threads do not survive a fork
    with multiprocessing.get_context("spawn").Pool(workers, _begin_work) as pool:
        yield pool.imap


def _begin_work() -> None:
    """Ignore SIGINT: the parent handles it and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_worker_with_parent()


def _is_episode(path: Path) -> bool:
    """Return whether a folder is an episode, or the remains of one, to be refused by name."""
    if path.name.startswith(".") or not path.is_dir():
        return False
    try:
        names = os.listdir(path)
    except OSError:  # it may be an episode: opening it later reports why it can't be read
        return True
    return any(name in (METADATA, UNFINISHED) or name.endswith(_STORED) for name in names)
