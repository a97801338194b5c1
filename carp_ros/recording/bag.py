"""Episodes on disk: rosbag2 folders that stay readable however the recording ends.

During recording, the episode's folder holds `unfinished.yaml` and its MCAP file is locked; `finish`
replaces `unfinished.yaml` with `metadata.yaml`. Everything written before `flush` returns survives
a SIGKILL and a power cut.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from rosbags.rosbag2 import WriterError
from rosbags.typesys import Stores, get_typestore

from carp_ros.errors import DeviceError, MessageError
from carp_ros.files.given_file import given_text
from carp_ros.files.plain_yaml import texts_from_yaml, yaml_from_mapping
from carp_ros.recording.bag_metadata import METADATA, SECTION, metadata_section
from carp_ros.recording.episode import EpisodeInfo, Topic
from carp_ros.recording.mcap_scan import McapScan, Message
from carp_ros.recording.mcap_storage import FlushableWriter, sync
from carp_ros.recording.offered_qos import offered_qos

UNFINISHED = "unfinished.yaml"
_CUSTOM = "custom_data"
_STAMPS_END_NS = 1 << 63
_MOST_METADATA_BYTES = 1_000_000
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class BagWriter:
    """Writes one episode.

    Args:
        folder: The episode's folder, created here.
        topics: The topics that will be written.
        info: What is known about the episode so far.

    Raises:
        ValueError: If the folder exists already.
        DeviceError: If the disk refuses the write.
    """

    def __init__(self, folder: Path, topics: Sequence[Topic], info: EpisodeInfo) -> None:
        self.folder = folder
        self._problem = ""
        self._writer = _new_writer(folder)
        typestore = get_typestore(Stores.ROS2_JAZZY)
        with self._device():
            self._writer.open()
            _replace(folder / UNFINISHED, info.texts)
            sync(folder.parent)
            self._connections = {
                topic.name: self._writer.add_connection(
                    topic.name,
                    topic.type,
                    typestore=typestore,
                    offered_qos_profiles=[offered_qos(topic.name)],
                )
                for topic in topics
            }

    def write(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Append a message; it is safe on disk only after the next `flush`.

        Args:
            topic: One of the writer's topics.
            stamp_ns: The header's stamp if it has one, else the time of receipt (ROS time).
            cdr: The serialized message.

        Raises:
            MessageError: If a bag can't hold the stamp; later messages can still be written.
            DeviceError: If the disk refuses the write; nothing can be written from then on.
        """
        if not 0 <= stamp_ns < _STAMPS_END_NS:
            raise MessageError(f"stamp is {stamp_ns} ns; expected nanoseconds since 1970")
        with self._device():
            self._writer.write(self._connections[topic], stamp_ns, cdr)

    def flush(self) -> None:
        """Block until everything written so far is on disk.

        Raises:
            DeviceError: As `write` does.
        """
        with self._device():
            self._writer.flush()

    def finish(self, info: EpisodeInfo) -> None:
        """Write the index and the final metadata, which completes the episode.

        Raises:
            DeviceError: As `write` does; the episode then stays unfinished.
        """
        for key, value in info.texts.items():
            self._writer.set_custom_data(key, value)
        with self._device():
            self._writer.close()
            sync(self.folder / METADATA)
            (self.folder / UNFINISHED).unlink(missing_ok=True)
            sync(self.folder)

    def discard(self) -> None:
        """Close the files and delete the episode."""
        self._abandon()
        shutil.rmtree(self.folder)

    @contextmanager
    def _device(self) -> Iterator[None]:
        """Turn disk errors into `DeviceError`; after the first, every later call repeats it."""
        if self._problem:
            raise DeviceError(self._problem)
        try:
            with disk_errors(self.folder):
                yield
        except DeviceError as error:
            self._problem = str(error)
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Close the files without finishing them; what was flushed stays on disk."""
        with suppress(OSError):
            self._writer.abort()


def read_messages(folder: Path) -> Iterator[Message]:
    """Yield topic, stamp in [ns] and CDR of each message, sorted by stamp within each chunk.

    Also reads unfinished, truncated and damaged episodes, up to the last intact chunk.

    Raises:
        ValueError: If the folder is no episode.
    """
    for messages in McapScan(mcap_file(folder)).chunks():
        yield from messages


def read_info(folder: Path) -> EpisodeInfo:
    """Return what is known about an episode, finished or not.

    Raises:
        ValueError: If the folder is no episode, or was written by another program.
    """
    require_open(folder)
    if os.path.lexists(folder / UNFINISHED):
        return EpisodeInfo.from_texts(_texts_of(folder / UNFINISHED), str(folder / UNFINISHED))
    return info_from_metadata(_section(folder), folder / METADATA)


def read_count(folder: Path) -> int:
    """Return the message count that a finished episode's metadata declare.

    Raises:
        ValueError: If the metadata do not contain one.
    """
    section = _section(folder)
    count = section.get("message_count") if isinstance(section, dict) else None
    if not isinstance(count, str) or not re.fullmatch("[0-9]{1,18}", count):
        raise ValueError(
            f"{folder / METADATA} does not say how many messages there are; `carp recover"
            f" {folder}` counts them"
        )
    return int(count)


def require_open(folder: Path) -> None:
    """Reject a folder without read permission, which would otherwise look empty.

    Raises:
        ValueError: If it can't be read.
    """
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError(f"{folder} can't be looked into; change its permissions")


def _section(folder: Path) -> Any:
    if not os.path.lexists(folder / METADATA):
        raise ValueError(missing_metadata(folder))
    return metadata_section(folder)


def missing_metadata(folder: Path) -> str:
    """Return the error text for a folder that has neither kind of metadata."""
    return (
        f"{folder} is no episode: it has neither {METADATA} nor {UNFINISHED}; if there is an MCAP"
        f" file, `carp recover {folder}` makes one of it (of a bag of `ros2 bag record`: `ros2 bag"
        " reindex`)"
    )


def _texts_of(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping with all values as strings, so that none becomes a number."""
    return texts_from_yaml(given_text(path, _MOST_METADATA_BYTES), str(path))


def write_info(folder: Path, info: EpisodeInfo) -> None:
    """Atomically replace the metadata of an episode, finished or not.

    The copy inside a finished MCAP file keeps what was known when the episode ended.

    Raises:
        ValueError: If the folder is no episode.
        DeviceError: If the disk refuses the write.
    """
    path = folder / (UNFINISHED if (folder / UNFINISHED).exists() else METADATA)
    if not path.is_file():
        raise ValueError(f"{folder} is no episode: it has neither {METADATA} nor {UNFINISHED}")
    content: Any = info.texts
    if path.name == METADATA:
        read_info(folder)  # raises if the metadata are damaged or of another program
        whole = yaml.safe_load(given_text(path, _MOST_METADATA_BYTES))
        whole[SECTION][_CUSTOM] = content
        content = whole
    with disk_errors(folder):
        _replace(path, content)


def mcap_file(folder: Path) -> Path:
    """Return an episode's MCAP file.

    Raises:
        ValueError: If there is none, or several.
    """
    require_open(folder)
    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise ValueError(f"{folder} has {len(files)} MCAP files; expected an episode, which has 1")
    return files[0]


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn an `OSError` into a `DeviceError` that names `folder`, free space and remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            raise DeviceError(
                f"cannot write {folder}: {error.strerror}; expected a folder that you may write:"
                " name another, or change its permissions"
            ) from error
        free_mb = shutil.disk_usage(_existing(folder)).free / 1e6
        raise DeviceError(
            f"cannot write {folder}: {error.strerror or error} ({free_mb:.0f} MB free); make room"
            f" or repair the disk, then `carp recover {folder}` keeps what was written"
        ) from error


def info_from_metadata(metadata: Any, source: Path) -> EpisodeInfo:
    """Return what is known about an episode from rosbag2 metadata whose values are all strings.

    Raises:
        ValueError: If a key is missing; the message names `source`.
    """
    custom = metadata.get(_CUSTOM) if isinstance(metadata, dict) else None
    if not isinstance(custom, dict) or not custom:
        raise ValueError(
            f"{source} lacks the episode's metadata; expected a bag that carp recorded, not one"
            " of `ros2 bag record` (`carp recover` restores what a reindexed bag lost)"
        )
    return EpisodeInfo.from_texts(custom, str(source))


def _new_writer(folder: Path) -> FlushableWriter:
    try:
        return FlushableWriter(folder)
    except WriterError as error:
        raise ValueError(f"{folder} exists already; expected a new folder's name") from error


def _replace(path: Path, content: Any) -> None:
    """Atomically replace a YAML file."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(yaml_from_mapping(content), encoding="utf-8")
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
