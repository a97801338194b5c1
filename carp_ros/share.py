"""Where files that are not code lie: launch, config, calibration, models, caches; the version."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

_PACKAGE = Path(__file__).resolve().parent


def share_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder that holds `config/`, `launch/`, `calibration/` and `models/`.

    That is the repository in a checkout or an editable install, and `<prefix>/share/carp_ros`
    after `pip install` or `colcon build`.

    Raises:
        ValueError: If neither is there.
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
    """Return the package's version; its one home is package.xml."""
    return str(ElementTree.parse(share_folder() / "package.xml").findtext("version"))


def cache_folder() -> Path:
    """Return where this package keeps what it can make again: `$XDG_CACHE_HOME/carp_ros`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carp_ros"
