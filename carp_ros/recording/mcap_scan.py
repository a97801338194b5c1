"""Reads MCAP files from the front, so that damage at the end loses nothing before it.

Readers that start from the index at the end of the file reject a file without one. Format:
https://mcap.dev/spec
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast
from zlib import crc32

import lz4.frame
from backports import zstd

from carp_ros.errors import MessageError
from carp_ros.recording.episode import Topic
from carp_ros.refusal import refusing

_MOST_BYTES = 300_000_000  # of a chunk; ours are 1 MB
PACKED = ".zstd"
"""Suffix of a file compressed as a whole by `ros2 bag record --compression-mode file`."""

_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _METADATA, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0C, 0x0F

Message = tuple[str, int, bytes]
"""Topic, stamp in [ns], CDR."""


@dataclass
class McapScan:
    """One pass through a file.

    Attributes:
        path: The file.
        topics: The topics seen so far, by channel number.
        metadata: The metadata records seen so far, by name.
    """

    path: Path
    topics: dict[int, Topic] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    _schemas: dict[int, str] = field(default_factory=dict)

    def chunks(self, *, as_arrived: bool = False) -> Iterator[list[Message]]:
        """Yield the messages of each chunk as a list, sorted by stamp or in order of arrival.

        Ends at the first truncated or damaged chunk.

        Raises:
            ValueError: If the path is no file.
            MessageError: If a chunk is too large, or can't be decompressed.
        """
        if not self.path.is_file():  # opening a pipe would block forever
            raise ValueError(f"{self.path} is no file; expected an MCAP file")
        with _opened(self.path) as file:
            if _read(file, len(_MAGIC)) != _MAGIC:
                return
            for opcode, content in _records(file, _longest_bytes(self.path)):
                if opcode == _DATA_END:
                    return
                try:
                    messages = self._take(opcode, content)
                except (struct.error, UnicodeDecodeError, KeyError):
                    return  # zeros or garbage in place of data
                if messages is None:
                    return
                yield messages if as_arrived else sorted(messages, key=_stamp_ns)

    def _take(self, opcode: int, content: bytes) -> list[Message] | None:
        """Return a record's messages; None if it is damaged."""
        if opcode == _MESSAGE:  # outside a chunk: storage preset `fastwrite` of `ros2 bag record`
            return [self._message(content)]
        if opcode != _CHUNK:
            self._learn(opcode, content)
            return []
        records = self._open_chunk(content)
        if records is None:
            return None
        return list(self._messages(records))

    def _open_chunk(self, content: bytes) -> bytes | None:
        """Return a chunk's records; None if they are damaged."""
        size, crc = struct.unpack_from("<QI", content, 16)
        reader = _Fields(content, 28)
        compression, records = reader.text(), reader.long_bytes()
        if size > _MOST_BYTES:
            raise MessageError(
                f"{self.path} has a chunk of {size} bytes; expected at most {_MOST_BYTES}"
            )
        if compression:
            records = self._unpacked(compression, records, size)
        whole = len(records) == size and (crc == 0 or crc == crc32(records))
        return records if whole else None

    def _unpacked(self, compression: str, records: bytes, size: int) -> bytes:
        with refusing(MessageError, f"{self.path}: a chunk"):
            if compression == "zstd":
                return zstd.ZstdDecompressor().decompress(records, max_length=size + 1)
            if compression == "lz4":
                return lz4.frame.LZ4FrameDecompressor().decompress(records, max_length=size + 1)
        raise MessageError(f"{self.path} is compressed with {compression!r}; expected zstd or lz4")

    def _messages(self, records: bytes) -> Iterator[Message]:
        for opcode, content in _records(BytesIO(records), len(records)):
            if opcode == _MESSAGE:
                yield self._message(content)
            else:
                self._learn(opcode, content)

    def _message(self, content: bytes) -> Message:
        channel, _, stamp_ns = struct.unpack_from("<HIQ", content)
        return self.topics[channel].name, stamp_ns, content[22:]

    def _learn(self, opcode: int, content: bytes) -> None:
        """Remember a schema, a channel or metadata."""
        if opcode == _SCHEMA:
            self._schemas[struct.unpack_from("<H", content)[0]] = _Fields(content, 2).text()
        elif opcode == _CHANNEL:
            channel, schema = struct.unpack_from("<HH", content)
            kind = self._schemas[schema] if schema else ""  # 0: a channel without a schema
            self.topics[channel] = Topic(_Fields(content, 4).text(), kind)
        elif opcode == _METADATA:
            reader = _Fields(content, 0)
            name = reader.text()
            self.metadata[name] = reader.text_map()


def _stamp_ns(message: Message) -> int:
    return message[1]


def ends_whole(path: Path) -> bool:
    """Return whether a file ends with the magic bytes that finish an MCAP file."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_MAGIC)))
        return file.read() == _MAGIC and file.tell() > len(_MAGIC)


def _opened(path: Path) -> BinaryIO:
    """Open a file, decompressing it if it was compressed as a whole."""
    return cast(BinaryIO, zstd.open(path)) if path.suffix == PACKED else path.open("rb")


def _read(file: BinaryIO, size: int) -> bytes:
    """Read up to `size` bytes, fewer at the end of the file."""
    try:
        return file.read(size)
    except (EOFError, zstd.ZstdError):  # a truncated or damaged compressed file ends here
        return b""


def _longest_bytes(path: Path) -> int:
    """Return an upper bound on a record's length; a compressed file's size is not known."""
    return 2 * _MOST_BYTES if path.suffix == PACKED else path.stat().st_size


def _records(file: BinaryIO, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of each record up to the first truncated one.

    Args:
        file: Positioned at the start of a record.
        longest: Longest valid record in bytes; one that claims more is damaged.
    """
    while True:
        head = _read(file, 9)
        if len(head) < 9:
            return
        opcode, length = struct.unpack("<BQ", head)
        # A power cut may leave zeros in place of data.
        if opcode == 0 or length > longest:
            return
        content = _read(file, length)
        if len(content) < length:
            return
        yield opcode, content


class _Fields:
    """Reads a record's fields in order."""

    def __init__(self, content: bytes, offset: int) -> None:
        self._content, self._offset = content, offset

    def text(self) -> str:
        return self._take("<I").decode()

    def long_bytes(self) -> bytes:
        return self._take("<Q")

    def text_map(self) -> dict[str, str]:
        inner = self._take("<I")
        reader, pairs = _Fields(inner, 0), {}
        while reader._offset < len(inner):
            key = reader.text()
            pairs[key] = reader.text()
        return pairs

    def _take(self, length_format: str) -> bytes:
        (length,) = struct.unpack_from(length_format, self._content, self._offset)
        start = self._offset + struct.calcsize(length_format)
        self._offset = start + length
        return self._content[start : self._offset]
