"""Extends rosbags' MCAP writer with chunk checksums and a `flush` that reaches the disk.

rosbags closes a chunk only at 1 MiB and omits its checksum, and messages outside a closed chunk are
lost when the process dies. Only its public interface is used here.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from carp_ros.files.whole_file import sync as sync

_CRC_OFFSET = 1 + 8 + 3 * 8  # in a chunk record, after opcode, length, start, end, size


class FlushableMcap(McapWriter):
    """rosbags' MCAP storage with `flush` and checksums.

    The file is locked while it is written; an unlocked file means that its writer is gone.
    """

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        super().__init__(path, compression)
        fcntl.flock(self.bio, fcntl.LOCK_EX)

    def close_chunk(self) -> None:
        """Write the pending chunk and its checksum."""
        start = self.bio.tell()
        crc = crc32(self.chunk.bio.getvalue())
        super().close_chunk()
        end = self.bio.tell()
        self.bio.seek(start + _CRC_OFFSET)
        self.bio.write(struct.pack("<I", crc))
        self.bio.seek(end)

    def flush(self) -> None:
        """Write pending messages and block until they are on disk."""
        if self.chunk.msgs:
            self.close_chunk()
        self.bio.flush()
        os.fsync(self.bio.fileno())

    def close(self, version: int, metadata: str) -> None:
        """Write pending messages and the index, and block until they are on disk."""
        super().close(version, metadata)
        sync(self.path)


class FlushableWriter(Writer):
    """rosbags' writer of rosbag2 folders, with `FlushableMcap` as its storage."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, type[Any]] = {StoragePlugin.MCAP: FlushableMcap}

    def __init__(self, path: Path) -> None:
        super().__init__(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)

    def flush(self) -> None:
        """Write pending messages and block until they are on disk."""
        if isinstance(self.storage, FlushableMcap):
            self.storage.flush()
