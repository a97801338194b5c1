"""Reads the SQLite files of `ros2 bag record` without ROS and without creating journal files."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from urllib.parse import quote

from backports import zstd

from carp_ros.errors import MessageError
from carp_ros.recording.mcap_scan import PACKED, Message
from carp_ros.refusal import refusing

_AT_ONCE = 64  # messages


def sqlite_chunks(path: Path) -> Iterator[list[Message]]:
    """Yield a file's messages in lists, in the order in which they were written.

    Args:
        path: The file; if compressed as a whole, it is decompressed into a temporary folder.

    Raises:
        ValueError: If the path is no file.
        MessageError: If it is damaged, no file of `ros2 bag record`, or there is no space to
            decompress it.
    """
    if not path.is_file():  # opening a pipe would block forever
        raise ValueError(f"{path} is no file; expected an SQLite file")
    with refusing(MessageError, str(path)), _unpacked(path) as plain:
        # immutable: no lock, no journal, no files created next to it
        address = f"file:{quote(str(plain))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            topics = dict(database.execute("SELECT id, name FROM topics"))
            rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            while found := rows.fetchmany(_AT_ONCE):
                yield [_message(topics, *row) for row in found]


def _message(topics: dict[int, str], topic: object, stamp_ns: object, cdr: object) -> Message:
    """Return a message from a row after checking its types, which SQLite does not enforce."""
    name = topics.get(topic) if isinstance(topic, int) else None
    if not (isinstance(name, str) and isinstance(stamp_ns, int) and isinstance(cdr, bytes)):
        raise MessageError(
            f"a message of topic {topic!r:.40} at {stamp_ns!r:.40} is no message; was the bag"
            " damaged?"
        )
    return name, stamp_ns, cdr


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """Yield the path of the uncompressed file."""
    if path.suffix != PACKED:
        yield path
        return
    with TemporaryDirectory(prefix="carp_ros_") as folder:
        plain = Path(folder) / "plain.db3"
        try:
            with zstd.open(path) as packed, plain.open("wb") as file:
                shutil.copyfileobj(packed, file)
        except OSError as error:
            raise MessageError(
                f"cannot be unpacked into {gettempdir()}: {error.strerror}; expected room for it:"
                " set TMPDIR to a folder with more"
            ) from error
        yield plain
