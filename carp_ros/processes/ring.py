"""A bounded queue of byte strings from one process to another, in shared memory, without locks.

The writer never waits: an item that does not fit is refused. The memory belongs to no file system
(memfd), so nothing is left behind when a process is killed, and the size of /dev/shm does not
matter; items that the writer put in before it died can still be read.

As in `carp_ros.processes.mailbox`, correctness relies on x86-64's order of stores.
"""

from __future__ import annotations

import mmap
import os
import struct

import numpy as np

_HEADER_BYTES = 64
_LENGTH = struct.Struct("<q")
_WRAP = -1  # in place of a length: the next item is at the start of the buffer
_ALIGN = 8


class Ring:
    """One end of the queue.

    Args:
        descriptor: The shared memory's, from `make_ring`; inherited by the other process.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        self.capacity = len(self._memory) - _HEADER_BYTES
        # these only ever increase; the offset in memory is the value modulo the capacity
        counters = np.frombuffer(self._memory, np.int64, 2)
        self._written, self._taken = counters[:1], counters[1:]

    @property
    def backlog_bytes(self) -> int:
        """Number of bytes put in and not yet taken out."""
        return int(self._written[0]) - int(self._taken[0])

    def put(self, *parts: bytes, reserve_bytes: int = 0) -> bool:
        """Append the parts as one item; return False, and do nothing, if it does not fit.

        Args:
            parts: The parts of the item.
            reserve_bytes: Space to leave free for more important items.
        """
        length = sum(map(len, parts))
        needed = _aligned(_LENGTH.size + length)
        written = int(self._written[0])
        start = written % self.capacity
        # an item is never split: if it does not fit before the end, the rest is skipped
        skipped = self.capacity - start if start + needed > self.capacity else 0
        free = self.capacity - (written - int(self._taken[0]))
        if skipped + needed + reserve_bytes > free:
            return False
        if skipped:
            _LENGTH.pack_into(self._memory, _HEADER_BYTES + start, _WRAP)
            start = 0
        at = _HEADER_BYTES + start
        _LENGTH.pack_into(self._memory, at, length)
        at += _LENGTH.size
        for part in parts:
            self._memory[at : at + len(part)] = part
            at += len(part)
        self._written[0] = written + skipped + needed
        return True

    def take(self) -> bytes | None:
        """Remove and return the oldest item, None if there is none."""
        taken = int(self._taken[0])
        if taken == int(self._written[0]):
            return None
        start = taken % self.capacity
        (length,) = _LENGTH.unpack_from(self._memory, _HEADER_BYTES + start)
        if length == _WRAP:
            taken += self.capacity - start
            start = 0
            (length,) = _LENGTH.unpack_from(self._memory, _HEADER_BYTES)
        at = _HEADER_BYTES + start + _LENGTH.size
        item = self._memory[at : at + length]
        self._taken[0] = taken + _aligned(_LENGTH.size + length)
        return item

    def close(self) -> None:
        """Close the descriptor; the memory is freed with the last process that has it mapped."""
        os.close(self.descriptor)


def make_ring(capacity_bytes: int) -> Ring:
    """Return a new ring with a capacity of about this many bytes."""
    descriptor = os.memfd_create("carp_ring")
    os.truncate(descriptor, _HEADER_BYTES + _aligned(capacity_bytes))
    return Ring(descriptor)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
