"""The newest value of one record, shared between processes without locks.

One process writes, any number read, and neither side ever waits: the writer fills the next of four
slots and then publishes its number; a reader copies the published slot and checks that the slot was
not refilled meanwhile. That happens only if the writer wraps round all slots during the copy; the
reader then copies again. A process that dies mid-write leaves the last published value.

Correctness relies on the order of the stores, which x86-64 preserves. On machines with weaker
ordering (aarch64) it is not guaranteed, although the interpreter executes hundreds of instructions
between the stores: the check of the slot's number then makes an error unlikely, not impossible.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.errors import DeviceError

SHARED_FOLDER = Path("/dev/shm")
_SLOTS = 4


class Mailbox:
    """A shared record of a NumPy structured `dtype`.

    Args:
        name: Unique on this machine; the file is `/dev/shm/carp_<name>`.
        dtype: Layout of the record; the same on both sides.
        create: True in the process that owns the file: it creates it, empty, and `unlink`s it.

    Raises:
        DeviceError: If `create` is False and the file does not exist or has another layout.
    """

    def __init__(self, name: str, dtype: np.dtype[Any], *, create: bool) -> None:
        self.name = name
        self._path = SHARED_FOLDER / f"carp_{name}"
        slot = np.dtype([("number", np.int64), ("value", dtype)], align=True)
        layout = np.dtype([("published", np.int64), ("slots", slot, (_SLOTS,))], align=True)
        descriptor = _make(self._path, layout.itemsize) if create else _open(self._path)
        try:
            size = os.fstat(descriptor).st_size
            if size != layout.itemsize:
                raise DeviceError(
                    f"{self._path} has {size} bytes; expected {layout.itemsize}: both processes"
                    " must run the same version"
                )
            # keeps the file open, and with it the creator's lock, for as long as the creator lives
            self._memory = mmap.mmap(descriptor, layout.itemsize)
            self._inode = os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
        record = np.frombuffer(self._memory, layout, count=1)
        self._published = record["published"]
        self._numbers = record["slots"]["number"][0]
        self._values = record["slots"]["value"][0]
        self._copy = np.zeros((), dtype)

    def write(self, value: np.ndarray[Any, Any]) -> None:
        """Publish a record (an array of shape () and this mailbox's dtype)."""
        number = int(self._published[0]) + 1
        slot = number % _SLOTS
        self._numbers[slot] = -1
        self._values[slot] = value
        self._numbers[slot] = number
        self._published[0] = number

    def read(self) -> np.ndarray[Any, Any] | None:
        """Return the newest record, or None if nothing has been written yet.

        The array belongs to this reader and is overwritten by its next `read`.
        """
        while True:
            number = int(self._published[0])
            if number == 0:
                return None
            slot = number % _SLOTS
            self._copy[()] = self._values[slot]
            if int(self._numbers[slot]) == number:
                return self._copy

    @property
    def count(self) -> int:
        """Number of records written so far; a change means that there is a new one."""
        return int(self._published[0])

    @property
    def orphaned(self) -> bool:
        """Whether the file was removed or recreated, so that this mapping no longer changes."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def unlink(self) -> None:
        """Remove the file; processes that have it open keep it."""
        self._path.unlink(missing_ok=True)


def require_record(name: str) -> None:
    """Check that the mailbox of this name exists.

    Raises:
        DeviceError: If it does not.
    """
    path = SHARED_FOLDER / f"carp_{name}"
    if not path.exists():
        raise DeviceError(f"no shared record {path}; start the process that writes it first")


def remove_leftovers() -> None:
    """Remove the files of killed processes, but not those of live ones."""
    for path in SHARED_FOLDER.glob("carp_*"):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:  # not replaced meanwhile
                path.unlink(missing_ok=True)
        except OSError:
            continue  # its creator is alive
        finally:
            os.close(descriptor)


def _make(path: Path, size: int) -> int:
    """Return the descriptor of a new file, locked before it has its name."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process of the same number that was killed right here
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.posix_fallocate(descriptor, 0, size)  # else a full /dev/shm kills the writer
        os.rename(draft, path)
    except OSError as error:
        raise DeviceError(
            f"no shared record {path}: {error.strerror}; is there room in {path.parent}, and does"
            " a file of that name belong to another user?"
        ) from error
    return descriptor


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DeviceError(
            f"no shared record {path}; start the process that writes it first"
        ) from None
    except PermissionError:
        raise DeviceError(f"{path} belongs to another user, whose system runs there") from None
