"""Completes episodes whose recording was cut off: what is whole becomes a finished episode."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from carp_ros.files.plain_yaml import texts_from_yaml
from carp_ros.recording.bag import (
    UNFINISHED,
    BagWriter,
    disk_errors,
    info_from_metadata,
    mcap_file,
    read_count,
    read_info,
)
from carp_ros.recording.bag_metadata import METADATA, read_metadata
from carp_ros.recording.episode import EpisodeInfo, Topic
from carp_ros.recording.mcap_scan import McapScan, ends_whole
from carp_ros.recording.mcap_storage import sync
from carp_ros.refusal import refusing

_WORKSHOP = ".recovering"
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Recovery:
    """What became of one episode.

    Attributes:
        folder: Of the episode.
        outcome: `whole` needed nothing, `recovered` is finished now, `empty` held no whole second,
            `busy` is still being recorded and `foreign` is a bag of another program: these are as
            they were.
        seconds: Between the first and the last message of what is kept, in [s].
        messages: How many are kept.
    """

    folder: Path
    outcome: Literal["whole", "recovered", "empty", "busy", "foreign"]
    seconds: float = 0.0
    messages: int = 0


def find_episodes(folder: Path) -> list[Path]:
    """Return the episodes, finished or not, in a folder and behind links, or itself if it is one.

    Hidden folders are where others are at work. One that can't be looked into may be an episode:
    `recover` says why it is none.

    Raises:
        ValueError: If there is none.
    """
    seen: set[str] = set()
    episodes: list[Path] = []

    def take_closed(error: OSError) -> None:
        if isinstance(error, PermissionError):
            episodes.append(Path(error.filename))

    for place, inside, files in os.walk(folder, onerror=take_closed, followlinks=True):
        real = os.path.realpath(place)
        again = real in seen  # links may lead in a circle
        seen.add(real)
        inside[:] = [] if again else sorted(name for name in inside if not name.startswith("."))
        if not again and any(name.endswith(".mcap") for name in files):
            episodes.append(Path(place))
    if not episodes:
        raise ValueError(f"no episodes in {folder}; expected folders with an .mcap file")
    return sorted(episodes)


def recover(folder: Path) -> Recovery:
    """Complete one episode, if it is not.

    The readable part is written anew, beside what there is, and takes its place when it is safe on
    disk. Whatever interrupts this, calling it again completes it.

    Raises:
        ValueError: If the folder is no episode.
        DeviceError: If the disk does not take the copy; the episode is then as it was.
        OSError: If the episode can't be read.
    """
    file = mcap_file(folder)
    if not file.is_file():
        raise ValueError(f"{file} is no file; expected an MCAP file")
    with _unless_locked(file) as free:
        if not free:
            return Recovery(folder, "busy")
        if _is_whole(folder, file):
            return Recovery(folder, "whole")
        scan = McapScan(file)
        with refusing(ValueError, str(file)):
            stamps_ns = [stamp for chunk in scan.chunks() for _, stamp, _ in chunk]
        if not stamps_ns:
            return Recovery(folder, "empty")
        seconds = (max(stamps_ns) - min(stamps_ns)) * 1e-9
        info = _known_info(folder, scan)
        if info is None and _is_of_another(folder):
            return Recovery(folder, "foreign")
        info = info or _unknown_info(min(stamps_ns))
        info = dataclasses.replace(
            info,
            # What was judged had its end.
            verdict=info.verdict if ends_whole(file) else "unknown",
            reasons=(*info.reasons, f"recovered, {seconds:.1f} s"),
        )
        _rewrite(folder, file, tuple(scan.topics.values()), info)
        return Recovery(folder, "recovered", seconds, len(stamps_ns))


def _is_whole(folder: Path, file: Path) -> bool:
    """Tell whether an episode is finished, and its metadata say what they must."""
    if os.path.lexists(folder / UNFINISHED) or not ends_whole(file):
        return False
    try:
        read_info(folder)
        return read_metadata(folder).files == (file.name,)
    except ValueError:
        return False


def _is_of_another(folder: Path) -> bool:
    """Tell whether a bag is whole in its own way: another program's, which is left as it is."""
    try:
        return read_count(folder) >= 0 and not os.path.lexists(folder / UNFINISHED)
    except ValueError:
        return False


@contextmanager
def _unless_locked(path: Path) -> Iterator[bool]:
    """Yield whether nobody writes this file; nobody else recovers it in the meantime."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _known_info(folder: Path, scan: McapScan) -> EpisodeInfo | None:
    """Return what is known of an episode from wherever it still stands."""
    with suppress(ValueError):  # what a power cut damaged is no YAML, or not all of it
        return read_info(folder)
    with suppress(ValueError), refusing(ValueError, str(scan.path)):
        text = scan.metadata["rosbag2"]["serialized_metadata"]
        return info_from_metadata(texts_from_yaml(text, str(scan.path)), scan.path)
    return None


def _unknown_info(first_ns: int) -> EpisodeInfo:
    return EpisodeInfo(
        *(_UNKNOWN,) * 4,
        seed=None,
        software=_UNKNOWN,
        started_ns=first_ns,
        reasons=("nothing was known about this episode",),
    )


def _rewrite(folder: Path, file: Path, topics: tuple[Topic, ...], info: EpisodeInfo) -> None:
    """Replace the file by a whole one, then `unfinished.yaml` by `metadata.yaml`."""
    workshop = folder / _WORKSHOP
    try:
        with disk_errors(folder):
            shutil.rmtree(workshop, ignore_errors=True)
            workshop.mkdir()
        # The same name as the file, for the metadata name it.
        writer = BagWriter(workshop / file.stem, topics, info)
        for chunk in McapScan(file).chunks(as_arrived=True):
            for message in chunk:
                writer.write(*message)
        writer.finish(info)
        with disk_errors(folder):
            os.replace(writer.folder / file.name, file)
            os.replace(writer.folder / METADATA, folder / METADATA)
            sync(folder)
            (folder / UNFINISHED).unlink(missing_ok=True)
            sync(folder)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
