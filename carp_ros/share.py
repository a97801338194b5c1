"""Locations of files that are not code (launch, config, models, caches), and the version."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

_log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent


def share_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder that holds `config/`, `launch/`, `calibration/` and `models/`.

    That is the repository in a checkout or an editable install, and `<prefix>/share/carp_ros`
    after `pip install` or `colcon build`.

    Raises:
        ValueError: If neither is found.
    """
    checkout = package.parent
    if (checkout / "package.xml").is_file():
        return checkout
    for prefix in package.parents:
        if (prefix / "share" / "carp_ros" / "package.xml").is_file():
            return prefix / "share" / "carp_ros"
    raise ValueError(
        f"no package.xml beside {package} nor share/carp_ros above it; install the package with"
        " pip or colcon, or run it from its repository"
    )


def version() -> str:
    """Return the package's version, which is defined in package.xml only."""
    return str(ElementTree.parse(share_folder() / "package.xml").findtext("version"))


def cache_folder() -> Path:
    """Return the folder for files that can be regenerated: `$XDG_CACHE_HOME/carp_ros`.

    Without a writable home folder, it is below the temporary folder.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        usual = (Path(given) if given else Path.home() / ".cache") / "carp_ros"
    except RuntimeError:  # no HOME, and the user id has no entry in /etc/passwd
        usual = None
    return written_or_temporary(usual, "cache", "XDG_CACHE_HOME")


@cache
def written_or_temporary(usual: Path | None, kind: str, variable: str) -> Path:
    """Return a folder that this process can write to: the usual one, or else a temporary one.

    Args:
        usual: The preferred folder; created if missing. None if there is none.
        kind: What the folder holds; used in the name of the temporary folder and in the warning.
        variable: Environment variable with which a person can choose another folder.

    Raises:
        ValueError: If there is no writable temporary folder either.
    """
    reason = "there is no home folder"
    if usual is not None:
        try:
            usual.mkdir(parents=True, exist_ok=True)
            if os.access(usual, os.W_OK | os.X_OK):
                return usual
            reason = f"{usual} can't be written"
        except OSError as error:
            reason = f"{usual} can't be made ({error.strerror})"
    try:
        folder = _own_temporary_folder() / kind
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"no folder for the {kind}: {reason}, and there is no temporary one that can be"
            f" written; set {variable} or TMPDIR to a folder that can be"
        ) from error
    _log.warning("%s: the %s is in %s (%s chooses another)", reason, kind, folder, variable)
    return folder


def _own_temporary_folder() -> Path:
    """Return this user's temporary folder, which nobody else can write to."""
    folder = Path(tempfile.gettempdir()) / f"carp_ros-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            return Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))  # somebody else's
    return folder
