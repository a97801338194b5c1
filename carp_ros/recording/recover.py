"""Completes episodes whose recording was cut off: the intact part becomes a finished episode."""

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
    """The outcome of recovering one episode.

    Attributes:
        folder: The episode's folder.
        outcome: `whole`: needed nothing; `recovered`: finished now; `empty`: no readable message;
            `busy`: still being recorded; `foreign`: a bag of another program. All but `recovered`
            are left unchanged.
        seconds: Time between the first and the last recovered message, in [s].
        messages: Number of recovered messages.
    """

    folder: Path
    outcome: Literal["whole", "recovered", "empty", "busy", "foreign"]
    seconds: float = 0.0
    messages: int = 0


def find_recordings(folder: Path) -> list[Path]:
    """Return all episodes under a folder, finished or not, including the folder itself.

    Symbolic links are followed. Hidden folders are skipped: other processes work there. A folder
    that can't be read may be an episode: `recover` reports why it can't.

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
        again = real in seen  # links may form a cycle
        seen.add(real)
        inside[:] = [] if again else sorted(name for name in inside if not name.startswith("."))
        if not again and any(name.endswith(".mcap") for name in files):
            episodes.append(Path(place))
    if not episodes:
        raise ValueError(f"no episodes in {folder}; expected folders with an .mcap file")
    return sorted(episodes)


def recover(folder: Path) -> Recovery:
    """Complete one episode if it is unfinished.

    The readable part is copied to a new file, which replaces the old one once it is safe on disk.
    After an interruption at any point, calling this again completes the episode.

    Raises:
        ValueError: If the folder is no episode.
        DeviceError: If the disk refuses the copy; the episode is then unchanged.
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
            # A verdict is valid only if the file is complete.
            verdict=info.verdict if ends_whole(file) else "unknown",
            reasons=(*info.reasons, f"recovered, {seconds:.1f} s"),
        )
        _rewrite(folder, file, tuple(scan.topics.values()), info)
        return Recovery(folder, "recovered", seconds, len(stamps_ns))


def _is_whole(folder: Path, file: Path) -> bool:
    """Return whether an episode is finished and its metadata are valid."""
    if os.path.lexists(folder / UNFINISHED) or not ends_whole(file):
        return False
    try:
        read_info(folder)
        return read_metadata(folder).files == (file.name,)
    except ValueError:
        return False


def _is_of_another(folder: Path) -> bool:
    """Return whether this is another program's finished bag, which is left unchanged."""
    try:
        return read_count(folder) >= 0 and not os.path.lexists(folder / UNFINISHED)
    except ValueError:
        return False


@contextmanager
def _unless_locked(path: Path) -> Iterator[bool]:
    """Lock a file against other recoveries; yield False if a process is still using it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _known_info(folder: Path, scan: McapScan) -> EpisodeInfo | None:
    """Return an episode's info from its YAML file, or else from the copy in the MCAP file."""
    with suppress(ValueError):  # a power cut may have damaged or truncated the YAML
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
    """Replace the file by a complete one, then `unfinished.yaml` by `metadata.yaml`."""
    workshop = folder / _WORKSHOP
    try:
        with disk_errors(folder):
            shutil.rmtree(workshop, ignore_errors=True)
            workshop.mkdir()
        # The metadata contain the file's name, so it must stay the same.
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
