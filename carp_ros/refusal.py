"""Turns whatever a library raises about one input into one refusal that names the input.

Everything that comes from outside, a message, a file, a row, a parameter, enters through one border
of this package. There, and only there, an error of unknown kind means: this input is wrong.

    with refusing(EpisodeError, f"{folder.name}: {topic}"):
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)

What is a failure of the machine instead, a full disk or no more file descriptors, passes through:
the next input would fail, too.
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
    """Raise what goes wrong with an input as an error of `kind` that begins with `what`.

    Args:
        kind: A leaf of `CarpError` where the caller goes on with the next input; `ValueError` where
            the process can't begin without this one.
        what: Names the input as a person knows it: a file, a topic, a key.

    Raises:
        CarpError, ValueError: The block's own refusals, unchanged if they are of `kind` and name
            the input already; `kind` for whatever else is raised.
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
    """Return what an error says, in one line of at most 300 characters.

    The type stands before it where the text alone says nothing, as in `KeyError: 'stamp'`.
    """
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, CarpError) or type(error) is ValueError:
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return shortened(printable(" ".join(text.split())))


def printable(text: str) -> str:
    """Return a text with line ends, control and other characters that don't print written out.

    So a name that somebody chose can neither break a refusal into lines nor move a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def named(path: Path) -> str:
    """Return a path as a refusal names it, whatever it is called."""
    return printable(str(path))


def shortened(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Return a text, without its middle if it is longer than `most`."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
