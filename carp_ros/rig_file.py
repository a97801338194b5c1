"""The files of a rig: read and parsed once a system, by the process that starts it.

They are `config/<rig>.yaml` and, with what was calibrated, `calibration/<rig>/*.yaml`. That process
passes the parsed content on in an environment variable and its hash as an argument. The other
processes therefore run on what the system was started with, whatever happens to the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from carp_ros.files.given_file import given_text
from carp_ros.files.plain_json import mapping_from_json
from carp_ros.files.plain_yaml import mapping_from_yaml
from carp_ros.refusal import named, refusing

RIG_CONTENT = "CARP_RIG"
"""Environment variable with the content of the system's rig file and calibration, as JSON."""

RIG_READ_ON = "CARP_RIG_READ_ON"
"""Environment variable with the day on which they were read, so that a calibration which becomes
too old while a system runs does not keep one of its nodes from being started again."""

_RESULT = re.compile(r"tool|.*_(intrinsics|pose|latency)")
_MOST_RESULTS = 64


@dataclass(frozen=True)
class RigFile:
    """The files of a rig and what was in them.

    Attributes:
        path: The rig's file.
        content: What was in it, parsed.
        calibration: What was in the files of `calibration_folder`, parsed, by their names without
            the ending.
        read_on: The day on which they were read.
    """

    path: Path = Path()
    content: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    read_on: date = field(default=date.min, compare=False)

    @property
    def recorded(self) -> dict[str, Any]:
        """The content of all files, for an episode's metadata."""
        calibration = {"calibration_files": dict(self.calibration)} if self.calibration else {}
        return {**self.content, **calibration}

    @property
    def sha256(self) -> str:
        """Hash of the content, in hex: the same in all processes of a system."""
        return _sha256(self._text)

    @property
    def arguments(self) -> list[str]:
        """The arguments that name this file and its hash to a child process."""
        return ["--rig", str(self.path), "--rig-sha256", self.sha256]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that pass the content on to other processes."""
        return {RIG_CONTENT: self._text, RIG_READ_ON: self.read_on.isoformat()}

    @property
    def _text(self) -> str:
        whole = {"rig": self.content, "calibration": self.calibration}
        return json.dumps(whole, default=str, skipkeys=True)


def calibration_folder(path: Path) -> Path:
    """Return the folder for what is calibrated of a rig, from the path of the rig's file.

    It is `calibration/<rig>` beside the folder `config` of the rig's file, or else beside the file.
    """
    beside = path.parent.parent if path.parent.name == "config" else path.parent
    return beside / "calibration" / path.stem


def read_rig_file(path: Path, sha256: str = "", *, calibrated: bool = True) -> RigFile:
    """Return a rig file with its content, which a system that is running has already parsed.

    Args:
        path: The rig's file; it and its calibration are not read if the environment has the content
            with this hash.
        sha256: `RigFile.sha256` that the content must have; empty for any.
        calibrated: Whether to read what was calibrated, too.

    Raises:
        ValueError: If the rig's file is missing, a file is not YAML, or the content has another
            hash.
    """
    where = named(path)
    passed_on = os.environ.get(RIG_CONTENT, "")
    if sha256 and _sha256(passed_on) == sha256:
        whole = mapping_from_json(passed_on, f"{RIG_CONTENT} in the environment")
        return RigFile(path, whole["rig"], whole["calibration"], _day_passed_on())
    if not path.exists():
        known = ", ".join(sorted(named(Path(p.stem)) for p in path.parent.glob("*.yaml")))
        raise ValueError(f"no rig file {where}; rigs in {named(path.parent)}: {known or 'none'}")
    content = mapping_from_yaml(given_text(path), where)
    calibration = _read_calibration(calibration_folder(path)) if calibrated else {}
    file = RigFile(path, content, calibration, date.today())
    if sha256 and file.sha256 != sha256:
        raise ValueError(
            f"the content of {where} has SHA-256 {file.sha256}; the system was started with"
            f" {sha256}: it was changed since, or its calibration was. Stop the whole system and"
            " start it again"
        )
    return file


def result_paths(folder: Path) -> list[Path]:
    """Return the files with results of calibrations in a folder, which may be missing.

    Raises:
        ValueError: If there are too many, or the folder can't be read.
    """
    if not folder.is_dir():
        return []
    with refusing(ValueError, named(folder)):
        paths = [path for path in sorted(folder.glob("*.yaml")) if _RESULT.fullmatch(path.stem)]
        if len(paths) > _MOST_RESULTS:
            raise ValueError(f"has {len(paths)} results; expected {_MOST_RESULTS} at most")
    return paths


def _read_calibration(folder: Path) -> dict[str, dict[str, Any]]:
    paths = result_paths(folder)
    return {path.stem: mapping_from_yaml(given_text(path), named(path)) for path in paths}


def _day_passed_on() -> date:
    try:
        return date.fromisoformat(os.environ.get(RIG_READ_ON, ""))
    except ValueError:
        return date.today()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
