"""Episodes on disk: rosbag2 folders that stay readable whatever ends the recording.

While it is recorded, an episode's folder holds `unfinished.yaml`, and its MCAP file is locked;
`finish` puts `metadata.yaml` in its place. What `flush` returned from survives a SIGKILL and a
power cut.
"""

from __future__ import annotations

import dataclasses
import errno
import json
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
from carp_ros.files.plain_yaml import texts_from_yaml
from carp_ros.recording.bag_metadata import METADATA, SECTION, metadata_section
from carp_ros.recording.episode import EpisodeInfo, Topic
from carp_ros.recording.mcap_scan import McapScan, Message
from carp_ros.recording.mcap_storage import FlushableWriter, sync
from carp_ros.recording.offered_qos import offered_qos
from carp_ros.refusal import refusing
from carp_ros.strict import read_strictly

UNFINISHED = "unfinished.yaml"
_CUSTOM = "custom_data"
_STAMPS_END_NS = 1 << 63
_MOST_METADATA_BYTES = 1_000_000
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


class BagWriter:
    """Writes one episode.

    Args:
        folder: Of the episode; made here.
        topics: What will be written.
        info: What is known so far.

    Raises:
        ValueError: If the folder exists.
        DeviceError: If the disk does not take it.
    """

    def __init__(self, folder: Path, topics: Sequence[Topic], info: EpisodeInfo) -> None:
        self.folder = folder
        self._problem = ""
        self._writer = _new_writer(folder)
        typestore = get_typestore(Stores.ROS2_JAZZY)
        with self._device():
            self._writer.open()
            _replace(folder / UNFINISHED, _to_texts(info))
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
        """Add a message; `flush` makes it safe.

        Args:
            topic: One of the writer's topics.
            stamp_ns: The header's stamp where there is one, else when it was received, ROS time.
            cdr: The serialized message.

        Raises:
            MessageError: If a bag can't hold the stamp; the next message may be written.
            DeviceError: If the disk takes no more; nothing can be written from then on.
        """
        if not 0 <= stamp_ns < _STAMPS_END_NS:
            raise MessageError(f"stamp is {stamp_ns} ns; expected nanoseconds since 1970")
        with self._device():
            self._writer.write(self._connections[topic], stamp_ns, cdr)

    def flush(self) -> None:
        """Wait until the disk has all that was written.

        Raises:
            DeviceError: As `write` does.
        """
        with self._device():
            self._writer.flush()

    def finish(self, info: EpisodeInfo) -> None:
        """Write the index and what is known now; the episode is then complete.

        Raises:
            DeviceError: As `write` does; the episode then stays unfinished.
        """
        for key, value in _to_texts(info).items():
            self._writer.set_custom_data(key, value)
        with self._device():
            self._writer.close()
            sync(self.folder / METADATA)
            (self.folder / UNFINISHED).unlink(missing_ok=True)
            sync(self.folder)

    def discard(self) -> None:
        """Remove the episode."""
        self._abandon()
        shutil.rmtree(self.folder)

    @contextmanager
    def _device(self) -> Iterator[None]:
        """Say once and for all what the disk refused: a file that is torn takes no more."""
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
        """Let go of the files; what was flushed stays."""
        with suppress(OSError):
            self._writer.abort()


def read_messages(folder: Path) -> Iterator[Message]:
    """Yield topic, stamp in [ns] and CDR of each message, in the order of stamps in each chunk.

    Reads unfinished, cut off and damaged episodes too, up to the last whole chunk.

    Raises:
        ValueError: If the folder is no episode.
    """
    for messages in McapScan(mcap_file(folder)).chunks():
        yield from messages


def read_info(folder: Path) -> EpisodeInfo:
    """Return what is known about an episode, finished or not.

    Raises:
        ValueError: If the folder is no episode, or of another program.
    """
    require_open(folder)
    if os.path.lexists(folder / UNFINISHED):
        return _info_from_texts(_texts_of(folder / UNFINISHED), folder / UNFINISHED)
    return info_from_metadata(_section(folder), folder / METADATA)


def read_count(folder: Path) -> int:
    """Return how many messages a finished episode was said to have.

    Raises:
        ValueError: If its metadata do not say.
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
    """Refuse a folder that can't be looked into, in which nothing would seem to be.

    Raises:
        ValueError: If it is one.
    """
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        raise ValueError(f"{folder} can't be looked into; change its permissions")


def _section(folder: Path) -> Any:
    if not os.path.lexists(folder / METADATA):
        raise ValueError(missing_metadata(folder))
    return metadata_section(folder)


def missing_metadata(folder: Path) -> str:
    """Return what is to be said of a folder that has no metadata of either kind."""
    return (
        f"{folder} is no episode: it has neither {METADATA} nor {UNFINISHED}; if there is an MCAP"
        f" file, `carp recover {folder}` makes one of it (of a bag of `ros2 bag record`: `ros2 bag"
        " reindex`)"
    )


def _texts_of(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping, its values as texts: YAML would make numbers of some."""
    return texts_from_yaml(given_text(path, _MOST_METADATA_BYTES), str(path))


def write_info(folder: Path, info: EpisodeInfo) -> None:
    """Replace what is known about an episode, finished or not, at once or not at all.

    The copy inside a finished MCAP file stays as it was when the episode ended.

    Raises:
        ValueError: If the folder is no episode.
        DeviceError: If the disk does not take it.
    """
    path = folder / (UNFINISHED if (folder / UNFINISHED).exists() else METADATA)
    if not path.is_file():
        raise ValueError(f"{folder} is no episode: it has neither {METADATA} nor {UNFINISHED}")
    content: Any = _to_texts(info)
    if path.name == METADATA:
        read_info(folder)  # else it is of another program, or damaged
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
    """Raise what the disk refuses as a `DeviceError` that names `folder`, space and remedy."""
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
    """Return what is known about an episode from rosbag2's metadata, whose values are all texts.

    Raises:
        ValueError: If something is missing; the message names `source`.
    """
    custom = metadata.get(_CUSTOM) if isinstance(metadata, dict) else None
    if not isinstance(custom, dict) or not custom:
        raise ValueError(
            f"{source} does not say what the episode is; expected a bag that carp recorded, not one"
            " of `ros2 bag record` (`carp recover` restores what a reindexed bag lost)"
        )
    return _info_from_texts(custom, source)


def _info_from_texts(texts: dict[str, Any], source: Path) -> EpisodeInfo:
    where = f"{source} does not say what the episode is"
    with refusing(ValueError, where):
        values: dict[str, Any] = {}
        for item in dataclasses.fields(EpisodeInfo):
            if item.name not in texts:
                raise ValueError(f"{item.name} is missing; expected a bag that carp recorded")
            text = texts[item.name]
            values[item.name] = text if item.name in _PLAIN else json.loads(text)
        return read_strictly(EpisodeInfo, values, where)


_PLAIN = ("rig", "task", "instruction", "operator", "software", "verdict")


def _to_texts(info: EpisodeInfo) -> dict[str, str]:
    """Return texts, as custom data has to be: what is none becomes JSON."""
    return {
        name: value if name in _PLAIN else json.dumps(value)
        for name, value in dataclasses.asdict(info).items()
    }


def _new_writer(folder: Path) -> FlushableWriter:
    try:
        return FlushableWriter(folder)
    except WriterError as error:
        raise ValueError(f"{folder} exists already; expected a new folder's name") from error


def _replace(path: Path, content: Any) -> None:
    """Put a YAML file in the place of another, at once."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
