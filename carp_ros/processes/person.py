"""Who is at the machine."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Return the name of who is logged in; the user's number where it has none.

    A container that runs as `--user 12345` knows no name, and depending on the version of Python
    `getpass` raises one error or the other.
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = ""
    printable = "".join(character for character in name if character.isprintable()).strip()
    return printable or str(os.getuid())
