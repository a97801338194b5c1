"""How rosbags writes our MCAP files: in chunks that are closed, checked and on disk when asked.

rosbags closes a chunk when it has 1 MiB and leaves its checksum out; what is not in a closed chunk
dies with the process. All that is used of it here is public.
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

_CRC_OFFSET = 1 + 8 + 3 * 8  # in a chunk record: opcode, length, start, end, size


class FlushableMcap(McapWriter):
    """rosbags' MCAP storage, with `flush` and with checksums.

    The file is locked while it is written: who finds it unlocked knows that its writer is gone.
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
        """Write all that is pending and wait until the disk has it."""
        if self.chunk.msgs:
            self.close_chunk()
        self.bio.flush()
        os.fsync(self.bio.fileno())

    def close(self, version: int, metadata: str) -> None:
        """Write what is pending and the index, and wait until the disk has it."""
        super().close(version, metadata)
        sync(self.path)


class FlushableWriter(Writer):
    """rosbags' writer of rosbag2 folders, on `FlushableMcap`."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, type[Any]] = {StoragePlugin.MCAP: FlushableMcap}

    def __init__(self, path: Path) -> None:
        super().__init__(path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)

    def flush(self) -> None:
        """Write all that is pending and wait until the disk has it."""
        if isinstance(self.storage, FlushableMcap):
            self.storage.flush()
