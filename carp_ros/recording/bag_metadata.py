"""Reads a bag's `metadata.yaml`, whichever program wrote it: rosbag2 metadata versions 1 to 9."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_yaml import texts_from_yaml
from carp_ros.recording.episode import Topic

METADATA = "metadata.yaml"
"""The file's name in a bag's folder."""

SECTION = "rosbag2_bagfile_information"
"""The file's only top-level key."""

_MOST_BYTES = 1_000_000
_NEWEST = 9
_STORAGES: tuple[Literal["mcap", "sqlite3"], ...] = ("mcap", "sqlite3")
_PACKED: dict[str, Literal["", "file", "message"]] = {
    "": "",
    "none": "",
    "file": "file",
    "message": "message",
}
_MEND = "`carp recover`, or of another program's bag `ros2 bag reindex`, writes it anew"


@dataclass(frozen=True)
class BagMetadata:
    """The metadata needed to read a bag.

    Attributes:
        storage: The storage format of its files.
        files: Their names, in order of time.
        packed: What is compressed with zstd: nothing, whole files, or each message. Compression of
            chunks is recorded inside the MCAP file itself.
        topics: The topics that the recorder knew, with or without messages.
        count: The number of messages.
        started_ns: When the first message was received (ROS time).
        distribution: The ROS distribution that recorded it, such as jazzy; empty if unknown.
        custom: Custom data by key, as `ros2 bag record --custom-data` adds it.
    """

    storage: Literal["mcap", "sqlite3"]
    files: tuple[str, ...]
    packed: Literal["", "file", "message"]
    topics: tuple[Topic, ...]
    count: int
    started_ns: int
    distribution: str
    custom: dict[str, str]


def metadata_section(folder: Path) -> Any:
    """Return a bag's metadata section with all values as strings, so that none becomes a number.

    Raises:
        ValueError: If the file is missing or can't be read.
    """
    path = folder / METADATA
    return texts_from_yaml(given_text(path, _MOST_BYTES), str(path)).get(SECTION)


def read_metadata(folder: Path) -> BagMetadata:
    """Read a bag's metadata.

    Raises:
        ValueError: If a key is missing or a value unknown; the message names the file and the key.
    """
    return metadata_of(metadata_section(folder), folder / METADATA)


def metadata_of(section: Any, source: Path) -> BagMetadata:
    """Parse a section that `metadata_section` returned.

    Raises:
        ValueError: As `read_metadata`; the message names `source`.
    """
    if not isinstance(section, dict):
        raise ValueError(f"{source} has no section {SECTION}; expected a bag's metadata: {_MEND}")
    fields = _Fields(section, source)
    version = fields.number("version")
    if version > _NEWEST:
        raise ValueError(
            f"{source}: version is {version}; expected 1 to {_NEWEST}: record with ROS 2 Jazzy or"
            " older, or convert it with `ros2 bag convert`"
        )
    storage = fields.one_of("storage_identifier", {name: name for name in _STORAGES})
    packed = fields.one_of("compression_mode", _PACKED)
    if packed:
        fields.one_of("compression_format", {"zstd": "zstd"})
    started = _Fields(fields.section("starting_time"), source)
    return BagMetadata(
        storage,
        _files(fields),
        packed,
        tuple(_topics(fields)),
        fields.number("message_count"),
        started.number("nanoseconds_since_epoch"),
        fields.text("ros_distro"),
        _custom(section),
    )


class _Fields:
    """Reads typed values from a section and raises errors that name the key."""

    def __init__(self, content: Any, source: Path) -> None:
        self.content = content if isinstance(content, dict) else {}
        self.source = source

    def text(self, key: str) -> str:
        value = self.content.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        text = self.text(key)
        if not re.fullmatch("[0-9]{1,19}", text):
            raise self.wrong(key, "a whole number")
        return int(text)

    def one_of(self, key: str, known: dict[str, Any]) -> Any:
        text = self.text(key)
        if text.lower() not in known:
            raise self.wrong(key, " or ".join(filter(None, known)))
        return known[text.lower()]

    def section(self, key: str) -> Any:
        value = self.content.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "keys and values")
        return value

    def listed(self, key: str) -> list[Any]:
        value = self.content.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value

    def wrong(self, key: str, expected: str) -> ValueError:
        if key not in self.content:
            return ValueError(f"{self.source}: {key} is missing; expected {expected}: {_MEND}")
        value = f"{self.content[key]!r:.80}"
        return ValueError(f"{self.source}: {key} is {value}; expected {expected}: {_MEND}")


def _files(fields: _Fields) -> tuple[str, ...]:
    """Return the file names without their folder, which versions before 4 include."""
    listed = fields.listed("relative_file_paths")
    names = [PurePosixPath(path).name for path in listed if isinstance(path, str)]
    if not names or len(set(names)) != len(listed) or not all(names):
        raise fields.wrong("relative_file_paths", "file names, each once")
    return tuple(names)


def _topics(fields: _Fields) -> Any:
    for item in fields.listed("topics_with_message_count"):
        inner = _Fields(item, fields.source)
        topic = _Fields(inner.section("topic_metadata"), fields.source)
        if not topic.text("name") or not topic.text("type"):
            raise fields.wrong("topics_with_message_count", "topics with name and type")
        if topic.text("serialization_format") not in ("", "cdr"):
            raise topic.wrong("serialization_format", "cdr")
        yield Topic(topic.text("name"), topic.text("type"))


def _custom(section: dict[str, Any]) -> dict[str, str]:
    custom = section.get("custom_data")
    if not isinstance(custom, dict):
        return {}
    return {key: value for key, value in custom.items() if isinstance(value, str)}
