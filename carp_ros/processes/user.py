"""The name of the logged-in user."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Return the name of the logged-in user, or the user id if there is no name.

    A container run with `--user 12345` has no name, and which error `getpass` then raises depends
    on the version of Python.
    """
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = ""
    printable = "".join(character for character in name if character.isprintable()).strip()
    return printable or str(os.getuid())
