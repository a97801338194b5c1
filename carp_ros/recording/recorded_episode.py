"""Opens a recorded episode: ours, or a bag of `ros2 bag record` with a topic map.

Storage format, compression and number of files make no difference to the reader.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from backports import zstd

from carp_ros.errors import EpisodeError, MessageError
from carp_ros.recording.bag import (
    UNFINISHED,
    info_from_metadata,
    missing_metadata,
    read_info,
    require_open,
)
from carp_ros.recording.bag_metadata import (
    METADATA,
    BagMetadata,
    metadata_of,
    metadata_section,
)
from carp_ros.recording.dataset_spec import cameras_of, robot_of
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.mapped_reader import MappedReader
from carp_ros.recording.mcap_scan import McapScan, Message
from carp_ros.recording.message_reader import MessageReader, Reader
from carp_ros.recording.sqlite_storage import sqlite_chunks
from carp_ros.recording.topic_map import Labels, TopicMap
from carp_ros.refusal import refusing

_OURS = {"rig_file", "started_ns", "verdict"}  # keys that only `carp record` writes
_MOST_BYTES = 300_000_000  # of a message
_DISORDER_NS = 200_000_000
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class RecordedEpisode:
    """An opened episode, of which only the metadata have been read.

    Attributes:
        folder: The episode's folder.
        info: What is known about the episode.
        metadata: The bag's metadata; None if it was not finished.
        topic_map: The meaning of its topics; None for an episode of `carp record`.
    """

    folder: Path
    info: EpisodeInfo
    metadata: BagMetadata | None
    topic_map: TopicMap | None = None

    def reader(self) -> Reader:
        """Return the reader for its messages.

        Raises:
            EpisodeError: If the map names a topic that is missing or of an unsuitable type.
            ValueError: If the metadata lack the rig.
        """
        if self.topic_map is None:
            return MessageReader(robot_of(self.info), cameras_of(self.info))
        return MappedReader(self.topic_map, topic_types(self._bag))

    def messages(self) -> Iterator[list[Message]]:
        """Yield all recorded messages in lists, in order of arrival.

        Raises:
            EpisodeError: If it was not finished, or, at the end, if messages are missing.
            MessageError: If a file or a message is too damaged to be decompressed.
            ValueError: If a file is missing.
        """
        count = 0
        chunks = stored_messages(self.folder, self._bag)
        for chunk in chunks if self.topic_map is None else _as_arrived(chunks):
            count += len(chunk)
            yield chunk
        if count < self._bag.count:
            remedy = (
                f"`carp recover {self.folder}` makes an episode of what is left"
                if self.topic_map is None
                else f"`ros2 bag reindex {self.folder}` makes a bag of what is left"
            )
            raise EpisodeError(
                f"{', '.join(self._bag.files)} is cut off after {count} of {self._bag.count}"
                f" messages; {remedy}"
            )

    @property
    def _bag(self) -> BagMetadata:
        if self.metadata is None:
            raise EpisodeError(f"was not finished; `carp recover {self.folder}` completes it")
        return self.metadata


def open_episode(folder: Path, topic_map: TopicMap | None = None) -> RecordedEpisode:
    """Open an episode.

    Args:
        folder: The episode's folder.
        topic_map: The topic map for bags of other programs; not used for our own.

    Raises:
        EpisodeError: If it is a bag of another program and there is no map.
        ValueError: If it is no bag, or its metadata can't be read.
    """
    require_open(folder)
    if os.path.lexists(folder / UNFINISHED):
        return RecordedEpisode(folder, read_info(folder), None)
    if not os.path.lexists(folder / METADATA):
        raise ValueError(missing_metadata(folder))
    section = metadata_section(folder)
    if not is_foreign(section):
        info = info_from_metadata(section, folder / METADATA)
        return RecordedEpisode(folder, info, metadata_of(section, folder / METADATA))
    metadata = metadata_of(section, folder / METADATA)
    if topic_map is None:
        raise EpisodeError(
            "lacks an episode's metadata, like other programs' bags; expected a map of its"
            f" {len(metadata.topics)} topics: --topics (--suggest-topics prints a suggestion); in"
            f" an episode of carp, `carp recover {folder}` restores the metadata"
        )
    return RecordedEpisode(folder, _mapped_info(folder, metadata, topic_map), metadata, topic_map)


def is_foreign(section: object) -> bool:
    """Return whether a metadata section is of a bag that `carp record` did not write."""
    custom = section.get("custom_data") if isinstance(section, dict) else None
    return isinstance(section, dict) and not (isinstance(custom, dict) and _OURS & set(custom))


def topic_types(metadata: BagMetadata) -> dict[str, str]:
    """Return the types of a bag's topics, by name."""
    return {topic.name: topic.type for topic in metadata.topics}


def stored_messages(folder: Path, metadata: BagMetadata) -> Iterator[list[Message]]:
    """Yield the messages of a bag's files in lists, in the order in which they were stored.

    Raises:
        MessageError: As `RecordedEpisode.messages`.
        ValueError: As `RecordedEpisode.messages`.
    """
    for name in metadata.files:
        path = folder / name
        if metadata.storage == "mcap":
            chunks = McapScan(path).chunks(as_arrived=True)
        else:
            chunks = sqlite_chunks(path)
        yield from map(_unpacked, chunks) if metadata.packed == "message" else chunks


def _as_arrived(chunks: Iterable[list[Message]]) -> Iterator[list[Message]]:
    """Yield messages sorted by time of receipt, if they are out of order by at most 0.2 s.

    `ros2 bag record --compression-mode message` compresses in several threads and stores messages
    as they are ready.
    """
    waiting: list[tuple[int, int, str, bytes]] = []
    number = newest_ns = 0
    for chunk in chunks:
        for topic, received_ns, cdr in chunk:
            number += 1  # breaks ties: of equal times, the first stored comes first
            heapq.heappush(waiting, (received_ns, number, topic, cdr))
            newest_ns = max(newest_ns, received_ns)
        yield list(_until(newest_ns - _DISORDER_NS, waiting))
    yield list(_until(newest_ns, waiting))


def _until(end_ns: int, waiting: list[tuple[int, int, str, bytes]]) -> Iterator[Message]:
    while waiting and waiting[0][0] <= end_ns:
        received_ns, _, topic, cdr = heapq.heappop(waiting)
        yield topic, received_ns, cdr


def _unpacked(messages: list[Message]) -> list[Message]:
    return [(topic, stamp_ns, _unpacked_cdr(topic, data)) for topic, stamp_ns, data in messages]


def _unpacked_cdr(topic: str, data: bytes) -> bytes:
    with refusing(MessageError, f"{topic}: a message packed with zstd"):
        unpacker = zstd.ZstdDecompressor()
        cdr = unpacker.decompress(data, max_length=_MOST_BYTES)
        if not unpacker.eof:
            raise MessageError(f"is cut off, or holds more than {_MOST_BYTES} bytes")
    return cdr


def _mapped_info(folder: Path, metadata: BagMetadata, topic_map: TopicMap) -> EpisodeInfo:
    """Return a bag's info: the map's defaults, then the bag's own labels, then the map's for it."""
    known = EpisodeInfo(
        rig=topic_map.rig,
        task=topic_map.task,
        instruction=topic_map.instruction,
        operator=topic_map.operator,
        seed=None,
        software=f"ros2 bag record {metadata.distribution}".strip(),
        started_ns=metadata.started_ns,
        success=topic_map.success,
        rig_file={"robot": topic_map.robot.name, "cameras": {c: {} for c in topic_map.cameras}},
    )
    for labels in (_own_labels(folder, metadata), topic_map.bags.get(folder.name, Labels())):
        given = {name: value for name, value in vars(labels).items() if value is not None}
        known = replace(known, **given)
    return known


def _own_labels(folder: Path, metadata: BagMetadata) -> Labels:
    """Return the labels given to `ros2 bag record --custom-data`."""
    custom = metadata.custom
    success = custom.get("success", "").lower()
    if success and success not in (*_YES, *_NO):
        raise ValueError(
            f"{folder / METADATA}: custom_data: success is {success!r:.80}; expected true or false:"
            " correct it there"
        )
    return Labels(
        task=custom.get("task"),
        instruction=custom.get("instruction"),
        operator=custom.get("operator"),
        success=success in _YES if success else None,
    )
