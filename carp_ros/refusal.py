"""Turns any exception that a library raises about an input into a refusal that names the input.

Everything from outside (a message, a file, a row, a parameter) enters the package at such a border.
There, and only there, an unexpected exception is taken to mean that the input is wrong.

    with refusing(EpisodeError, f"{folder.name}: {topic}"):
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)

Failures of the machine, such as a full disk or no free file descriptors, are passed on unchanged,
because the next input would fail, too.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carp_ros.errors import CarpError

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}
_MOST_CHARACTERS = 300


@contextmanager
def refusing(kind: type[CarpError] | type[ValueError], what: str) -> Iterator[None]:
    """Turn any error raised in the block into one of `kind` whose text begins with `what`.

    Args:
        kind: A subclass of `CarpError` if the caller goes on with the next input; `ValueError` if
            the process cannot start without this one.
        what: Name of the input as a person knows it: a file, a topic, a key.

    Raises:
        CarpError, ValueError: An error of `kind`; one that the block raised itself and that already
            names the input is passed on unchanged.
    """
    try:
        yield
    except kind as error:
        if str(error).startswith(printable(what)):
            raise
        raise kind(f"{printable(what)}: {in_words(error)}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        raise kind(f"{printable(what)}: {in_words(error)}") from error


def in_words(error: BaseException) -> str:
    """Return an error's text, in one line of at most 300 characters.

    It is prefixed by the type if the text alone is not informative, as in `KeyError: 'stamp'`.
    """
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, CarpError) or type(error) is ValueError:
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return shortened(printable(" ".join(text.split())))


def printable(text: str) -> str:
    """Return a text with line ends, control and other non-printable characters escaped.

    A name chosen by somebody else can then neither break a log line nor control a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def named(path: Path) -> str:
    """Return a path in the printable form used in error texts."""
    return printable(str(path))


def shortened(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Return a text, with its middle left out if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
